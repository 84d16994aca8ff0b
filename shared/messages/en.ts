import type { Message } from './index.ts';

/**
 * Every word that a person reads on Discord. `{name}` is filled from the parameters; a message with plural
 * forms is chosen by its parameter `n`. The other languages must have the same keys: the compiler checks.
 */
export const en = {
  // the life of a message
  'status.waiting': '(Waiting to start)',
  'status.percent': '({percent}%)',
  'status.cancelled': '(Cancelled)',
  'status.failed': '(Failed)',
  'line.next': 'next in line',
  'line.ahead': { one: '{n} job ahead of you', other: '{n} jobs ahead of you' },
  'line.wait': 'about {time}',
  'line.nobody': 'nobody is painting just now; your job waits',
  'status.fast': '(fast)',
  'status.relax': '(relaxed)',
  'status.turbo': '(turbo)',
  'title.imagine': '{user}',
  'title.image': 'Image #{number} {user}',
  'title.vary-subtle': 'Variations (Subtle) by {user}',
  'title.vary-strong': 'Variations (Strong) by {user}',
  'title.upscale-subtle': 'Upscaled (Subtle) by {user}',
  'title.upscale-creative': 'Upscaled (Creative) by {user}',
  'title.blend': 'Blend by {user}',
  'title.vary-region': 'Variations (Region) by {user}',
  'title.zoom-out': 'Zoom Out by {user}',
  'title.pan-left': 'Pan Left by {user}',
  'title.pan-right': 'Pan Right by {user}',
  'title.pan-up': 'Pan Up by {user}',
  'title.pan-down': 'Pan Down by {user}',
  'title.make-square': 'Make Square by {user}',
  'picture.facts': 'Seed {seed} · {width} × {height} · {model}',

  // buttons
  'button.cancel': 'Cancel',
  'button.again': 'Try again',
  'button.fix': 'Fix it',
  'button.upscale-subtle': 'Upscale (Subtle)',
  'button.upscale-creative': 'Upscale (Creative)',
  'button.vary-subtle': 'Vary (Subtle)',
  'button.vary-strong': 'Vary (Strong)',

  // commands; a name is lower case without spaces
  'command.imagine.name': 'imagine',
  'command.imagine.description': 'Paint four pictures from a description',
  'command.imagine.prompt.name': 'prompt',
  'command.imagine.prompt.description': 'What to paint; parameters such as --ar 3:2 at the end',
  'command.imagine.image.name': 'image',
  'command.imagine.image.description': 'A picture to start from (PNG, JPEG or WebP)',
  'command.info.name': 'info',
  'command.info.description': 'Your jobs, the queue and the models',
  'command.help.name': 'help',
  'command.help.description': 'How to paint with Dreamgrid',
  'command.models.name': 'models',
  'command.models.description': 'Which models can paint here',

  // answers
  'fix.title': 'Fix the prompt',
  'fix.label': 'Prompt',
  'footer.command': '/imagine prompt: {prompt}',
  'footer.error': 'Error {id}',
  'info.title': 'Dreamgrid',
  'info.mine': 'Your open jobs',
  'info.mine.value': '{n} of {max}',
  'info.queue': 'Queue',
  'info.queue.value': '{active} painting, {waiting} waiting',
  'info.workers': 'Workers',
  'info.models': 'Models',
  'info.none': 'none at the moment',
  'models.title': 'Models',
  'models.line': '**{name}** · {title} · {width} × {height} · {steps} steps',
  'help.title': 'How to paint',
  'help.text':
    'Type `/imagine`, describe a picture, and four of them appear.\n' +
    '**U1–U4** takes one picture out of the four and enlarges it.\n' +
    '**V1–V4** paints four variations of one picture.\n' +
    '**🔄** paints four new pictures of the same prompt.\n' +
    '**Cancel** (or a ❌ reaction) stops a job; only its owner or a moderator may.\n' +
    'Anyone may press U, V and 🔄; the new picture belongs to whoever pressed.',
  'help.parameters': 'Parameters',
  'help.parameters.text':
    '`--ar 3:2` shape · `--seed 7` same start · `--no text, frame` leave out\n' +
    '`--stylize 0–1000` · `--chaos 0–100` · `--weird 0–3000` · `--quality .25 .5 1 2`\n' +
    '`--stop 10–100` · `--tile` · `--raw` · `--iw 0–3` · `--repeat 2–10` · `--model name`',

  // errors: title and text by code
  'error.prompt.title': 'Invalid prompt',
  'error.prompt.text': '{lines}',
  'error.empty.title': 'Empty prompt',
  'error.empty.text': 'Describe what to paint, for example `a fox in the snow at night --ar 3:2`.',
  'error.banned-slurs.title': 'Banned prompt',
  'error.banned-slurs.text':
    'There is a slur in this prompt, and everybody here reads prompts. Please say it another way.',
  'error.banned-sexual.title': 'Banned prompt',
  'error.banned-sexual.text':
    'Sexual pictures are not painted in this channel; an age-restricted one may allow them. If yours was not meant so, say it another way.',
  'error.banned-gore.title': 'Banned prompt',
  'error.banned-gore.text':
    'Gore is not painted in this channel; an age-restricted one may allow it. If yours was not meant so, say it another way.',
  'error.banned-minors.title': 'Banned prompt',
  'error.banned-minors.text': 'Nothing sexual is painted together with children, here or anywhere.',
  'error.banned-own.title': 'Banned prompt',
  'error.banned-own.text':
    'This server has chosen not to paint something in this prompt. Its moderators know what, and can help.',
  'error.blocked.title': 'Painting is off for you here',
  'error.blocked.text':
    'The people who run this server have stopped you from painting here. Please ask them.',
  'error.wrong-channel.title': 'Not in this channel',
  'error.wrong-channel.text': 'On this server, pictures are painted in {channels}.',
  'error.wrong-role.title': 'Not your role yet',
  'error.wrong-role.text': 'On this server, one of these roles may paint: {roles}.',
  'error.turbo-role.title': 'No turbo for you here',
  'error.turbo-role.text': 'On this server, turbo is for {roles}. Use `--fast` or `--relax`.',
  'error.slow-server.title': 'Slow mode',
  'error.slow-server.text': 'This server lets one request through every {every}. Yours may come in {time}.',
  'error.slow-wait.title': 'A long line',
  'error.slow-wait.text': {
    one: 'The wait is about {time}, so everybody has one job at a time just now, and yours is in line.',
    other: 'The wait is about {time}, so everybody has one job at a time just now; you have {n} in line.',
  },
  'error.quota.title': 'Enough for today',
  'error.quota.text': 'You have asked for {n} of {max} jobs today. The count starts anew at midnight UTC.',
  'error.quota-server.title': 'Enough for today',
  'error.quota-server.text':
    'You have asked for {n} of the {max} jobs a day on this server. The count starts anew at midnight UTC.',
  'error.queue-server.title': 'Queue full',
  'error.queue-server.text':
    'This server has {n} jobs waiting or running, and {max} is the limit. Try again when some are done.',
  'error.not-manager.title': 'Not yours to set',
  'error.not-manager.text': 'Setting up Dreamgrid takes the permission Manage Server.',

  // the owner's audit channel
  'audit.line': '🛑 {user} in {channel}: {title} (`{rule}`)',

  'error.too-many.title': 'Too many at once',
  'error.too-many.text': 'This prompt asks for {n} jobs; at most {max} go at once.',
  'error.queue-user.title': 'Queue full',
  'error.queue-user.text':
    'You have {n} jobs waiting or running, and {max} is the limit. Try again when one is done, or cancel one.',
  'error.queue-all.title': 'Queue full',
  'error.queue-all.text': 'The queue is full ({n} jobs). Try again in a few minutes.',
  'error.no-worker.title': 'Nobody is painting',
  'error.no-worker.text': 'No worker is running at the moment. Try again in a minute.',
  'error.redis.title': 'Try again in a moment',
  'error.redis.text': 'The queue does not answer just now. Nothing was queued.',
  'error.too-fast.title': 'Easy',
  'error.too-fast.text': 'That button was pressed a moment ago; one job is on its way.',
  'error.expired.title': 'Button expired',
  'error.expired.text': 'This button comes from another version. Use `/imagine` again.',
  'error.forged.title': 'Unknown button',
  'error.forged.text': 'This button is not one of ours. Use `/imagine` to start anew.',
  'error.recipe-gone.title': 'Picture forgotten',
  'error.recipe-gone.text':
    'Neither the queue nor the message remembers how this was painted. Use `/imagine` again.',
  'error.fix-gone.title': 'Too late',
  'error.fix-gone.text': 'This prompt is no longer remembered. Type `/imagine` again.',
  'error.not-yours.title': 'Job action restricted',
  'error.not-yours.text': 'Only its owner or a moderator can stop this job.',
  'error.already-done.title': 'Nothing to cancel',
  'error.already-done.text': 'This job has already ended.',
  'error.image-host.title': 'Invalid link',
  'error.image-host.text': 'Pictures may come from {hosts}. Attach the picture instead.',
  'error.image-fetch.title': 'Invalid link',
  'error.image-fetch.text': 'The picture could not be fetched. Attach it instead.',
  'error.image-type.title': 'Invalid image',
  'error.image-type.text': 'That file is not a PNG, JPEG or WebP picture.',
  'error.image-broken.title': 'Invalid image',
  'error.image-broken.text': 'That picture is damaged and cannot be read.',
  'error.image-bytes.title': 'Image too large',
  'error.image-bytes.text': 'A picture may have at most {max} MB.',
  'error.image-pixels.title': 'Image too large',
  'error.image-pixels.text': 'A picture may have at most {max} megapixels.',
  'error.image-many.title': 'Too many images',
  'error.image-many.text': 'One picture to start from is enough; got {n}.',
  'error.unknown-command.title': 'Unknown command',
  'error.unknown-command.text': 'Dreamgrid was updated. Reload Discord and try again.',
  'error.broke.title': 'Something broke',
  'error.broke.text': 'That should not have happened. Nothing more will come; please try again.',

  'error.no-posting.title': 'Cannot post here',
  'error.no-posting.text': 'Dreamgrid may not write in this channel, so the further jobs were not queued.',

  // what can be wrong with a prompt, by the parser's codes
  'problem.empty-prompt': 'There is nothing to paint.',
  'problem.too-long': 'A prompt may have at most {max} characters; this one has {length}.',
  'problem.unknown-parameter': 'There is no `{parameter}`.',
  'problem.unsupported-parameter': '`{parameter}` does nothing here. {instead}',
  'problem.missing-value': '`{parameter}` needs a value.',
  'problem.unexpected-value': '`{parameter}` takes no `{text}`.',
  'problem.not-a-number': '`{parameter}` needs a number, not `{value}`.',
  'problem.not-whole': '`{parameter}` needs a whole number, not `{value}`.',
  'problem.out-of-range': '`{parameter}` must be between {min} and {max}.',
  'problem.out-of-range-model': '`{parameter}` must be between {min} and {max} with `--model {model}`.',
  'problem.bad-aspect': '`{parameter}` needs whole numbers such as `3:2`, not `{value}`.',
  'problem.unknown-model': 'There is no model `{value}`. Installed: {models}',
  'problem.unknown-sampler': 'There is no sampler `{value}`. There are: {samplers}',
  'problem.unknown-style': 'There is no style `{value}`.',
  'problem.parameter-before-text': 'Words come before parameters: move `{text}` to the front.',
  'problem.bad-link': '`{link}` is not a link that works here.',
  'problem.misplaced-link': 'Links to images come first: move `{link}` to the front.',
  'problem.weights-sum': 'The weights add up to {sum}; the sum must be above zero.',
  'problem.too-many-parts': 'At most {max} weighted parts; this prompt has {count}.',
  'problem.unbalanced-brace': 'This `{brace}` has no partner. For a plain one, type `\\{brace}`.',
  'problem.nested-too-deep': 'Braces may stand at most {max} deep.',
  'problem.too-many-permutations': 'This makes {count} jobs; at most {max} go at once.',
  'problem.suggestion': 'Did you mean `{suggestion}`?',

  // what to do instead of a parameter that is not taken here
  'instead.image-link': 'Put the link in front of the prompt and use --iw.',
  'instead.model': 'Choose an installed model with --model.',
  'instead.upscale': 'Use the Upscale buttons under a picture.',
  'instead.native-size': 'Leave it out: grids have the size that the model was made for.',
  'instead.leave-out': 'Leave it out.',

  // questions before something is done
  'button.confirm': 'Yes',
  'button.dismiss': 'Cancel',
  'confirm.title': { one: 'This makes {n} job. Go?', other: 'This makes {n} jobs. Go?' },
  'confirm.time': 'Painting them takes about {time}, after your place in line.',
  'confirm.dismissed': 'Nothing was queued.',
  'remix.title': 'Remix the prompt',
  'error.too-long-to-ask.title': 'Too long to ask about',
  'error.too-long-to-ask.text': 'A prompt with `{a, b}` may have at most 4000 characters.',

  // how a job can fail after it was queued
  'error.failed.title': 'Painting failed',
  'error.failed.text': 'This picture could not be painted. Try again.',
  'error.engine.title': 'Painting failed',
  'error.engine.text': 'The engine stopped twice while painting this. Try again, or change the prompt.',
  'error.deadline.title': 'Took too long',
  'error.deadline.text': 'This picture took longer than {seconds} s and was stopped.',
  'error.too-large.title': 'Too large for this GPU',
  'error.too-large.text':
    'There is not enough memory for this picture. Try a smaller `--ar`, or another model.',
  'error.blank.title': 'Painting failed',
  'error.blank.text': 'The model gave an empty picture. Try another seed.',
  'error.no-model.title': 'Model missing',
  'error.no-model.text': 'No worker has the model {model} any more.',
  'error.no-parent.title': 'Picture gone',
  'error.no-parent.text': 'The picture this starts from cannot be painted again.',
} as const satisfies Record<string, Message>;
