/** The machines of the play; a worker's link can be slow. */
export const HOSTS = ['redis', 'store', 'bot', 'bot2', 'w1', 'w2', 'w3'] as const;
export const SLOW: readonly string[] = ['w3'];
