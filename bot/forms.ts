import type { ButtonAction } from '../shared/customId.ts';
import { UserError } from '../shared/errors.ts';
import type { AnswerKind } from './answer.ts';
import type { Click } from './buttons.ts';
import { FIX_INPUT, findFix } from './fix.ts';
import { imagine } from './imagine.ts';

/** What a form that a button opened does when it is sent; it carries the custom id of its button. */
export interface Form {
  kind: AnswerKind;
  /** Name of the field with the prompt: the footer of an error shows it again. */
  prompt?: string;
  submit(filled: Filled): Promise<void>;
}

export interface Filled extends Click {
  /** @throws TypeError where the form has no such field */
  field(name: string): string;
}

const fix: Form = {
  kind: 'message',
  prompt: FIX_INPUT,
  async submit({ app, asker, answer, id, field }) {
    // The picture that was attached to the first try; when it is forgotten, the words alone still work.
    const { image } = await findFix(app, id.jobId).catch((error: unknown) => {
      if (error instanceof UserError && error.code === 'fix-gone') return { image: undefined };
      throw error;
    });
    await imagine(app, asker, answer, field(FIX_INPUT), image);
  },
};

export const forms: { readonly [action in ButtonAction]?: Form } = { fix };
