import { walkComponents } from '../discord/messageRules.ts';
import { signedUrl } from '../serve/cdn.ts';
import { messageObject, type Presenter } from './objects.ts';
import { labelOf } from './people.ts';
import type { Attachment, Interaction, Json, Message } from './types.ts';

/** A message for tests: with its files' bytes and its buttons by name. */
export interface MessageView extends Omit<Message, 'attachments'> {
  attachments: (Attachment & { url: string; data: Buffer })[];
  buttons: { label: string; customId: string | undefined; disabled: boolean; style: number; url?: string }[];
  ephemeral: boolean;
  loading: boolean;
  edited: boolean;
  /** The message as Discord's API sends it. */
  raw: Json;
}

export function viewOf(presenter: Presenter, message: Message): MessageView {
  const { world, url } = presenter;
  return {
    ...structuredClone(message),
    attachments: message.attachments.map((a) => ({
      ...a,
      url: signedUrl(
        world,
        url,
        `/attachments/${message.channelId}/${a.id}/${encodeURIComponent(a.filename)}`,
      ),
      data: world.files.get(a.id) ?? Buffer.alloc(0),
    })),
    buttons: [...walkComponents(message.components)]
      .filter(({ part }) => part['type'] === 2)
      .map(({ part }) => ({
        label: labelOf(part),
        customId: part['custom_id'],
        disabled: part['disabled'] === true,
        style: part['style'],
        ...(part['url'] ? { url: part['url'] } : {}),
      })),
    ephemeral: message.onlyFor !== undefined,
    loading: (message.flags & 128) !== 0,
    edited: message.editedAt !== null,
    raw: messageObject(presenter, message),
  };
}

/** An interaction for the person who caused it; its getters are live. */
export interface InteractionHandle {
  readonly id: string;
  readonly token: string;
  readonly userId: string;
  readonly state: 'waiting' | 'acknowledged' | 'failed';
  /** 4 message, 5 deferred, 6 deferred update, 7 update, 8 choices, 9 modal. */
  readonly callbackType: number | undefined;
  /** What `@original` names: the answer, or the message a button sits on. */
  readonly message: MessageView | undefined;
  readonly followups: MessageView[];
  readonly modal: Json | undefined;
  readonly choices: { name: string; value: string | number }[] | undefined;
  readonly interaction: Interaction;
}

export function handleOf(presenter: Presenter, interaction: Interaction): InteractionHandle {
  const { world } = presenter;
  const view = (id: string | undefined): MessageView | undefined => {
    const message = id ? world.messages.get(id) : undefined;
    return message && viewOf(presenter, message);
  };
  return {
    interaction,
    id: interaction.id,
    token: interaction.token,
    userId: interaction.userId,
    get state() {
      return interaction.state;
    },
    get callbackType() {
      return interaction.callbackType;
    },
    get message() {
      return view(interaction.originalId);
    },
    get followups() {
      return interaction.followups.flatMap((id) => view(id) ?? []);
    },
    get modal() {
      return interaction.modal;
    },
    get choices() {
      return interaction.choices as { name: string; value: string | number }[] | undefined;
    },
  };
}
