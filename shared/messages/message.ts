/** A text, or its plural forms by CLDR category of the parameter `n`. */
export type Message = string | ({ other: string } & { [K in Intl.LDMLPluralRule]?: string });
