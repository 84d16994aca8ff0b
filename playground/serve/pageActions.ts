import type { OptionValue } from '../discord/commandOptions.ts';
import { ClientRefusal } from '../discord/errors.ts';
import type { TroubleKind } from '../discord/trouble.ts';
import type { FileUpload, Interaction, Json } from '../world/types.ts';
import { interactionView, type PageParts, pageOfMessages } from './pageView.ts';

/** Number of interactions that the panel lists. */
const SHOWN_INTERACTIONS = 6;

type Action = (ask: Json) => Json | Promise<Json>;

/** A person's actions in the page. Each answer goes back to the window that asked. */
export class PageActions {
  private readonly parts: PageParts;
  private readonly uploads: Map<string, FileUpload>;
  private readonly table: Record<string, Action>;

  constructor(
    parts: PageParts,
    me: string,
    uploads: Map<string, FileUpload>,
    { watch, killWorker }: { watch: (on: boolean) => void; killWorker: (() => void) | undefined },
  ) {
    this.parts = parts;
    this.uploads = uploads;
    const { people, presenter, gateway, trouble } = parts;
    const { world } = presenter;
    const opts = (ask: Json) => ({
      channelId: ask['channelId'] as string | undefined,
      locale: ask['locale'] as string | undefined,
    });
    this.table = {
      run: (ask) => this.outcome(people.run(me, ask['command'], this.values(ask['options']), opts(ask))),
      autocomplete: (ask) =>
        this.outcome(
          people.autocomplete(me, ask['command'], ask['focused'], this.values(ask['options']), opts(ask)),
        ),
      click: (ask) =>
        this.outcome(
          people.click(me, ask['messageId'], ask['customId'], {
            ...opts(ask),
            ...(ask['values'] ? { values: ask['values'] } : {}),
          }),
        ),
      submit: (ask) => {
        const opener = world.interactions.get(ask['opener']);
        if (opener?.userId !== me) throw new ClientRefusal('This form is gone.');
        return this.outcome(people.submitModal(opener, ask['fields'], opts(ask)));
      },
      messageCommand: (ask) =>
        this.outcome(people.messageCommand(me, ask['messageId'], ask['name'], opts(ask))),
      userCommand: (ask) => this.outcome(people.userCommand(me, ask['userId'], ask['name'], opts(ask))),
      react: (ask) => {
        people.react(me, ask['messageId'], ask['emoji']);
        return {};
      },
      say: (ask) => {
        people.say(me, ask['content'], {
          ...opts(ask),
          ...(ask['replyTo'] ? { replyTo: ask['replyTo'] } : {}),
        });
        return {};
      },
      remove: (ask) => {
        people.remove(me, ask['messageId']);
        return {};
      },
      older: (ask) => pageOfMessages(parts, me, ask['channelId'], ask['before'], 50),
      locale: (ask) => {
        if (!['en-US', 'vi'].includes(ask['locale']))
          throw new ClientRefusal('That language is not offered.');
        world.users.get(me)!.locale = ask['locale'];
        return {};
      },
      watch: (ask) => {
        watch(ask['on'] === true);
        return {
          requests: world.requests.slice(-100),
          interactions: [...world.interactions.values()]
            .slice(-SHOWN_INTERACTIONS)
            .map((i) => interactionView(i, world.clock.now())),
          violations: world.violations.length,
          troubles: trouble.list(),
        };
      },
      trouble: (ask) => {
        const kind: string = ask['kind'];
        if (kind === 'drop') gateway.drop(0);
        else if (kind === 'clear') trouble.clear();
        else if (kind === 'kill-worker') {
          if (!killWorker) throw new ClientRefusal('Nobody here would start the worker again.');
          killWorker();
        } else
          trouble.add({
            kind: kind as TroubleKind,
            times: ask['times'] ?? 1,
            match: /^(POST|PATCH) /,
            retryAfter: 3,
            delayMs: 4000,
          });
        return { troubles: trouble.list() };
      },
    };
  }

  async perform(ask: Json): Promise<Json> {
    const action = Object.hasOwn(this.table, ask['do']) ? this.table[ask['do'] as string] : undefined;
    if (!action) throw new ClientRefusal(`Unknown action: ${ask['do']}`);
    return action(ask);
  }

  /** Replaces `{upload: id}` by the file that was uploaded before. */
  private values(options: Json): Record<string, OptionValue> {
    return Object.fromEntries(
      Object.entries(options ?? {}).map(([name, value]): [string, OptionValue] => {
        if (!value || typeof value !== 'object') return [name, value as OptionValue];
        const file = this.uploads.get(value['upload']);
        if (!file) throw new ClientRefusal('The file is gone; add it again.', name);
        return [name, { file: file.data, name: file.name }];
      }),
    );
  }

  /** Waits for the acknowledgement or for the 3 s to pass. */
  private outcome(interaction: Interaction): Promise<Json> {
    const { world } = this.parts.presenter;
    const result = (): Json => ({
      interactionId: interaction.id,
      state: interaction.state,
      callbackType: interaction.callbackType,
      originalId: interaction.originalId,
      modal: interaction.modal,
      choices: interaction.choices,
    });
    if (interaction.state !== 'waiting') return Promise.resolve(result());
    return new Promise((resolve) => {
      const stop = world.on((event) => {
        if (
          event.type !== 'interaction' ||
          event.interaction !== interaction ||
          interaction.state === 'waiting'
        )
          return;
        stop();
        resolve(result());
      });
    });
  }
}
