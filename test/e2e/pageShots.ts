import type { Browser, Locator } from 'playwright-core';
import { Window } from './shotWindow.ts';

/** `npm run shots -- page`: what the README and the playground's own page show. */
const PROMPT = 'a fox in the snow at night';

/** The message with a picture that is at least 30 % painted. */
async function halfPainted(mai: Window): Promise<Locator> {
  for (let seed = 7; ; seed++) {
    const message = await mai.run(`/imagine ${PROMPT} --seed ${seed} --quality 2`);
    const halfway = message.filter({ hasText: /\((?:[3-8]\d)%\)/ }).locator('.picture img');
    const done = message.getByRole('button', { name: 'V4', exact: true });
    await halfway.or(done).first().waitFor();
    if ((await halfway.count()) > 0) return message;
  }
}

export async function takePage(browser: Browser, url: string): Promise<void> {
  const mai = await Window.open(browser, url, 'member');
  await mai.page.getByTestId('first-prompt').first().waitFor();
  await mai.shot('first-run');
  await mai.page.getByTestId('composer').fill('/');
  await mai.page.getByTestId('picker').waitFor();
  await mai.shot('picker');
  await mai.page.getByTestId('composer').fill('');

  const painting = await halfPainted(mai);
  await mai.shotOf('progress', painting);
  await painting.getByRole('button', { name: 'V4', exact: true }).waitFor();
  await mai.shotOf('grid', painting);
  const single = await mai.press(painting, 'U2');
  await single.getByRole('button', { name: /Vary \(Subtle\)/ }).waitFor();
  await mai.shot('upscaled');

  await (await mai.run('/imagine a lighthouse on a cliff --stilize 50')).getByTestId('ephemeral').waitFor();
  await mai.shot('error');
  await (await mai.run('/settings')).getByTestId('ephemeral').waitFor();
  await mai.shot('settings');

  await mai.page.getByTestId('hood').click();
  const next = await mai.run('/imagine two penguins in the snow --quality 2');
  await next.getByText(/\d+%/).waitFor();
  await mai.page.locator('[data-lane].now').waitFor();
  await mai.page.getByTestId('pace').getByText(/steps/).waitFor();
  await mai.shot('panel');
  await mai.page.getByTestId('hood').click();
  await next.getByRole('button', { name: 'V4', exact: true }).waitFor();
  await mai.page.getByTestId('theme').click();
  await mai.shot('light');

  const narrow = await Window.open(browser, url, 'member', { width: 360, height: 740 });
  await narrow.shot('narrow');
  const linh = await Window.open(browser, url, 'stranger');
  const sunflower = await linh.run('/imagine a sunflower in the garden, oil painting');
  await sunflower.getByRole('button', { name: 'V4', exact: true }).waitFor();
  await linh.page.getByTestId('composer').fill('/v');
  await linh.page.getByTestId('picker').waitFor();
  await linh.shot('vietnamese');
}
