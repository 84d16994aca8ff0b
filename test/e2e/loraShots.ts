import type { Browser } from 'playwright-core';
import { Window } from './shotWindow.ts';

/** `npm run shots -- loras`: what a member meets who wants a LoRA, on `pocket` and the one that it brings. */
export async function takeLoras(browser: Browser, url: string): Promise<void> {
  const mai = await Window.open(browser, url, 'member', { width: 900, height: 900 });
  const composer = mai.page.getByTestId('composer');
  await mai.page.getByTestId('first-prompt').first().waitFor();
  await composer.pressSequentially('/imagine prompt: a castle on a hill, blueprint lora: bl');
  await mai.page.getByTestId('picker-option').filter({ hasText: 'blueprint' }).first().waitFor();
  await mai.shot('lora-field.webp');
  await composer.fill('');

  const told = await mai.run('/imagine a castle on a hill, blueprint <lora:bluprint:0.8> --seed 7');
  await told.getByRole('button', { name: 'Fix it' }).waitFor();
  await mai.shotOf('lora-error.webp', told);
  const before = await mai.page.getByTestId('message').count();
  await told.getByRole('button', { name: 'Fix it' }).click();
  const form = mai.page.getByRole('dialog');
  await form.getByRole('textbox').waitFor();
  await mai.shot('lora-fix.webp');
  await form.getByRole('button', { name: 'Submit' }).click();
  const grid = mai.page.getByTestId('message').nth(before);
  await grid.getByRole('button', { name: 'V4', exact: true }).waitFor();
  await mai.shotOf('lora-grid.webp', grid);

  const single = await mai.press(grid, 'U1');
  await single.getByRole('button', { name: /Vary \(Subtle\)/ }).waitFor();
  await mai.shotOf('lora-upscaled.webp', single);
  const varied = await mai.press(grid, 'V2');
  await varied.getByRole('button', { name: 'V4', exact: true }).waitFor();
  await mai.shotOf('lora-varied.webp', varied);

  const weights = 'blueprint:0, blueprint:0.5, blueprint:1';
  await mai.run(`/compare prompt: a castle on a hill, blueprint --seed 7 loras: ${weights}`);
  const sheet = mai.page.getByTestId('message').filter({ hasText: 'Compare by' }).last();
  await sheet.locator('.picture img').waitFor();
  await mai.shotOf('lora-compare.webp', sheet, 640);
}
