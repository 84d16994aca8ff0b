import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Locator } from 'playwright-core';
import { Window } from './shotWindow.ts';

/**
 * `npm run shots -- meaning`: what a model with a picture embedding makes of pictures that it did not paint: V, a blend
 * of two uploads at three weights, and Reword.
 */
export async function takeMeaning(browser: Browser, url: string, home: string, model: string): Promise<void> {
  const mai = await Window.open(browser, url, 'member', { width: 900, height: 1000 });
  const { page } = mai;
  const form = page.getByRole('dialog');
  /** The picture of a message as a file, to be sent again. */
  const saved = async (message: Locator, name: string): Promise<string> => {
    const at = await message.locator('.picture img').getAttribute('src');
    const file = join(home, name);
    await writeFile(file, await (await page.request.get(new URL(at ?? '', url).href)).body());
    return file;
  };
  const painted = async (line: string): Promise<Locator> => {
    const message = await mai.run(line);
    await message.getByRole('button', { name: /^V4$|Vary \(Subtle\)/ }).waitFor();
    return message;
  };

  const castle = await painted('/imagine a castle on a hill at night --seed 7 --count 1');
  const fox = await painted('/imagine a fox in the snow --seed 7');
  await mai.shotOf('meaning-parent.webp', fox);

  await (await mai.run('/prefer remix')).getByTestId('ephemeral').waitFor();
  const before = await page.getByTestId('message').count();
  await fox.getByRole('button', { name: 'V1', exact: true }).click();
  await form.getByRole('textbox').fill(`a fox in the snow --model ${model}`);
  await form.getByRole('button', { name: 'Submit' }).click();
  const varied = page.getByTestId('message').nth(before);
  await varied.getByRole('button', { name: 'V4', exact: true }).waitFor();
  await mai.shotOf('meaning-varied.webp', varied);
  await (await mai.run('/prefer remix')).getByTestId('ephemeral').waitFor();

  const single = await mai.press(fox, 'U1');
  await single.getByRole('button', { name: /Vary \(Subtle\)/ }).waitFor();
  const [one, two] = [await saved(single, 'fox.png'), await saved(castle, 'castle.png')];
  for (const weights of ['75 25', '50 50', '25 75']) {
    const last = await page.getByTestId('message').count();
    const composer = page.getByTestId('composer');
    await composer.fill(`/blend weights: ${weights} model: ${model} `);
    await page.getByTestId('file-image1').setInputFiles(one);
    await page.getByTestId('file-image2').setInputFiles(two);
    await composer.press('Enter');
    if ((await composer.inputValue()) !== '') await composer.press('Enter');
    const blended = page.getByTestId('message').nth(last);
    await blended.getByRole('button', { name: 'V4', exact: true }).waitFor();
    await mai.shotOf(`meaning-blend-${weights.split(' ')[0]}.webp`, blended);
  }

  const now = await page.getByTestId('message').count();
  await single.scrollIntoViewIfNeeded();
  await single.getByRole('button', { name: /Reword/ }).click();
  await form.getByRole('textbox').last().fill('a fox in the snow at night');
  await mai.shot('meaning-reword-form.webp');
  await form.getByRole('button', { name: 'Submit' }).click();
  const reworded = page.getByTestId('message').nth(now);
  await reworded.getByRole('button', { name: 'V4', exact: true }).waitFor();
  await mai.shotOf('meaning-reworded.webp', reworded);
}
