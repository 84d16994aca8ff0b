import { toggleFavourite } from '../../shared/memory/jobRecords.ts';
import { say } from '../../shared/messages/index.ts';
import { onRedis } from '../interaction/redisAway.ts';
import type { Button } from './button.ts';

/** ❤️: any member may keep any picture as a favourite; a second press removes the favourite. */
export const favourite: Button = {
  kind: 'private',
  async press({ app, asker: { user, locale }, answer, id }) {
    const kept = await onRedis(toggleFavourite(app.redis, user.id, id, Date.now()));
    await answer.send({
      content: say(locale, kept ? 'favourite.on' : 'favourite.off'),
      allowed_mentions: { parse: [] },
    });
  },
};
