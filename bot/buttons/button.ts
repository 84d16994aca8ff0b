import type { CustomId } from '../../shared/picture/customId.ts';
import type { App, Asker } from '../app.ts';
import type { Answer, AnswerKind } from '../interaction/acknowledge.ts';

/** One press of a button, or one pick in a menu. */
export interface Click {
  app: App;
  asker: Asker;
  answer: Answer;
  id: CustomId;
  /** Addresses of the files on the message with the button. */
  files: readonly string[];
  /** Values picked in a menu; empty for a button. */
  values: readonly string[];
}

export interface Button {
  kind: AnswerKind;
  press(click: Click): Promise<void>;
  /** The form that this button opens; the form carries the custom id of the button. */
  form?: Form;
}

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
