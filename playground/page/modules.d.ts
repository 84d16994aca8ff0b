declare module '@skyra/discord-components-core/*';
