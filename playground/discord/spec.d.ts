/** The package ships its schemas without types; they are looked up by name. */
declare module 'discord-api-spec/zod' {
  const schemas: Record<string, unknown>;
  export = schemas;
}
