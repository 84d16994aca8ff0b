import { DiscordError, refuse } from '../errors.ts';
import { replyProblems } from '../validate.ts';
import { applicationRoutes } from './applications.ts';
import { channelRoutes } from './channels.ts';
import { generalRoutes } from './general.ts';
import { interactionRoutes } from './interactions.ts';
import type { Answer, Call, Route } from './route.ts';
import { webhookRoutes } from './webhooks.ts';

const ROUTES: Route[] = [
  ...interactionRoutes,
  ...webhookRoutes,
  ...channelRoutes,
  ...applicationRoutes,
  ...generalRoutes,
];

export function findRoute(method: string, path: string): { route: Route; params: string[] } {
  let known = false;
  for (const route of ROUTES) {
    const match = route.path.exec(path);
    if (!match) continue;
    known = true;
    if (route.method === method) return { route, params: match.slice(1) };
  }
  throw known ? refuse.methodNotAllowed() : refuse.notFound();
}

/** The route's answer, and its violations of Discord's spec (normally none). */
export function answer(route: Route, call: Call): { answer: Answer; problems: string[] } {
  try {
    const given = route.handle(call);
    return { answer: given, problems: route.reply ? replyProblems(route.reply, given.body) : [] };
  } catch (error) {
    if (error instanceof DiscordError)
      return { answer: { status: error.status, body: error.toJSON() }, problems: [] };
    throw error;
  }
}
