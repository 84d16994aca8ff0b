import { LANES, type Lane } from '../../shared/memory/settings.ts';
import { say } from '../../shared/messages/index.ts';
import { LANE_COST } from '../../shared/queue/fairness.ts';
import { chooseLane } from '../submit/preferences.ts';
import { type Command, EVERYWHERE, named } from './command.ts';

/** /turbo, /fast, /relax: in which lane a member's jobs wait from now on. */
const laneCommand = (lane: Lane): Command => ({
  kind: 'private',
  definition: { ...named(lane), ...EVERYWHERE },
  async run({ app, asker, answer }) {
    await chooseLane(app, asker, lane);
    const share = LANE_COST.relax / LANE_COST[lane];
    await answer.send({
      content: say(asker.locale, `lane.${lane}`, { share }),
      allowed_mentions: { parse: [] },
    });
  },
});

export const laneCommands = LANES.map(laneCommand);
