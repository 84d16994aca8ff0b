import {
  ActionRowBuilder,
  type AnySelectMenuInteraction,
  ApplicationCommandType,
  AttachmentBuilder,
  ButtonBuilder,
  ButtonStyle,
  ChannelSelectMenuBuilder,
  ChannelType,
  Client,
  ContextMenuCommandBuilder,
  EmbedBuilder,
  GatewayIntentBits,
  type Interaction,
  LabelBuilder,
  MentionableSelectMenuBuilder,
  MessageFlags,
  ModalBuilder,
  Partials,
  RoleSelectMenuBuilder,
  SlashCommandBuilder,
  StringSelectMenuBuilder,
  TextInputBuilder,
  TextInputStyle,
  UserSelectMenuBuilder,
} from 'discord.js';
import sharp from 'sharp';
import type { Playground } from '../../playground/index.ts';

/** A small bot on the real discord.js, for the playground's own tests. */

export async function picture(colour: string, size = 64): Promise<Buffer> {
  return sharp({ create: { width: size, height: size, channels: 3, background: colour } })
    .png()
    .toBuffer();
}

const commands = [
  new SlashCommandBuilder()
    .setName('imagine')
    .setDescription('Create images with a prompt')
    .setDescriptionLocalizations({ vi: 'Vẽ tranh từ lời mô tả' })
    .addStringOption((o) =>
      o.setName('prompt').setDescription('The prompt to imagine').setRequired(true).setMaxLength(6000),
    )
    .addAttachmentOption((o) => o.setName('image').setDescription('A picture to start from')),
  new SlashCommandBuilder().setName('info').setDescription('What you use and how much'),
  new SlashCommandBuilder()
    .setName('model')
    .setDescription('Pick a model')
    .addStringOption((o) =>
      o.setName('name').setDescription('Which one').setRequired(true).setAutocomplete(true),
    )
    .addIntegerOption((o) => o.setName('steps').setDescription('How many').setMinValue(1).setMaxValue(50))
    .addStringOption((o) =>
      o
        .setName('lane')
        .setDescription('Fast or slow')
        .addChoices({ name: 'Fast', value: 'fast' }, { name: 'Relax', value: 'relax' }),
    ),
  new SlashCommandBuilder()
    .setName('prefer')
    .setDescription('Your preferences')
    .addSubcommand((s) =>
      s
        .setName('suffix')
        .setDescription('Appended to every prompt')
        .addStringOption((o) => o.setName('text').setDescription('Parameters')),
    ),
  new SlashCommandBuilder().setName('setup').setDescription('One select of each kind'),
  new ContextMenuCommandBuilder().setName('Show recipe').setType(ApplicationCommandType.Message),
  new ContextMenuCommandBuilder().setName('Invite').setType(ApplicationCommandType.User),
];

export function gridRows() {
  const button = (id: string, label: string) =>
    new ButtonBuilder().setCustomId(id).setLabel(label).setStyle(ButtonStyle.Secondary);
  return [
    new ActionRowBuilder<ButtonBuilder>().addComponents(
      ...[1, 2, 3, 4].map((i) => button(`u${i}`, `U${i}`)),
      new ButtonBuilder().setCustomId('again').setEmoji('🔄').setStyle(ButtonStyle.Secondary),
    ),
    new ActionRowBuilder<ButtonBuilder>().addComponents(
      ...[1, 2, 3, 4].map((i) => button(`v${i}`, `V${i}`).setStyle(ButtonStyle.Primary)),
    ),
  ];
}

/** One select of each kind. */
function setupRows() {
  const menus = [
    new StringSelectMenuBuilder()
      .setCustomId('lanes')
      .setPlaceholder('Lanes')
      .setMinValues(2)
      .setMaxValues(3)
      .addOptions(['turbo', 'fast', 'relax', 'off'].map((value) => ({ label: `Lane ${value}`, value }))),
    new UserSelectMenuBuilder().setCustomId('who').setPlaceholder('Who').setMaxValues(2),
    new RoleSelectMenuBuilder().setCustomId('role').setPlaceholder('Role').setMinValues(0),
    new MentionableSelectMenuBuilder().setCustomId('either').setPlaceholder('Either').setMaxValues(3),
    new ChannelSelectMenuBuilder()
      .setCustomId('where')
      .setPlaceholder('Where')
      .setMaxValues(2)
      .setChannelTypes(ChannelType.GuildText),
  ];
  return menus.map((menu) => new ActionRowBuilder<(typeof menus)[number]>().addComponents(menu));
}

/** What discord.js makes of a select's answer: kind, ids, and the names it found in `resolved`. */
function heard(interaction: AnySelectMenuInteraction): string {
  const names = [
    ...('users' in interaction ? interaction.users.map((u) => `@${u.username}`) : []),
    ...('roles' in interaction ? interaction.roles.map((r) => `&${r.name}`) : []),
    ...('channels' in interaction ? interaction.channels.map((c) => `#${'name' in c ? c.name : c.id}`) : []),
  ];
  return `${interaction.customId} [${interaction.values.join()}] ${names.join(' ')}`;
}

const inviteForm = (id: string) =>
  new ModalBuilder()
    .setCustomId(`invite ${id}`)
    .setTitle('Invite')
    .addLabelComponents(
      new LabelBuilder()
        .setLabel('Words')
        .setTextInputComponent(new TextInputBuilder().setCustomId('words').setStyle(TextInputStyle.Short)),
      new LabelBuilder()
        .setLabel('With')
        .setDescription('Up to two')
        .setUserSelectMenuComponent(new UserSelectMenuBuilder().setCustomId('with').setMaxValues(2)),
      new LabelBuilder()
        .setLabel('Lane')
        .setStringSelectMenuComponent(
          new StringSelectMenuBuilder()
            .setCustomId('lane')
            .addOptions({ label: 'Fast', value: 'fast', default: true }, { label: 'Relax', value: 'relax' }),
        ),
    );

async function handle(interaction: Interaction): Promise<void> {
  if (interaction.isAutocomplete()) {
    const typed = interaction.options.getFocused();
    await interaction.respond(
      ['pocket', 'sd15', 'sdxl'].filter((m) => m.includes(typed)).map((name) => ({ name, value: name })),
    );
    return;
  }
  if (interaction.isChatInputCommand() && interaction.commandName === 'imagine') {
    const prompt = interaction.options.getString('prompt', true);
    if (prompt === 'silence') return;
    if (prompt === 'error') {
      const embed = new EmbedBuilder()
        .setColor(0xed4245)
        .setTitle('Invalid parameter')
        .setDescription('`--foo` is not a parameter. Did you mean `--no`?')
        .setFooter({ text: `/imagine ${prompt}` });
      await interaction.reply({ embeds: [embed], flags: MessageFlags.Ephemeral });
      return;
    }
    if (prompt === 'think') {
      await interaction.deferReply();
      return;
    }
    const line = `**${prompt.slice(0, 1500)}** - <@${interaction.user.id}>`;
    const quiet = { allowedMentions: { parse: [] } };
    await interaction.reply({ content: `${line} (Waiting to start)`, ...quiet });
    const preview = new AttachmentBuilder(await picture('#334455'), { name: 'preview.png' });
    await interaction.editReply({ content: `${line} (31%)`, files: [preview], attachments: [], ...quiet });
    const grid = new AttachmentBuilder(await picture('#c0703a', 256), {
      name: 'mai_a_fox.png',
      description: prompt.slice(0, 100),
    });
    await interaction.editReply({
      content: `${line} (fast)`,
      files: [grid],
      attachments: [],
      components: gridRows(),
      ...quiet,
    });
    return;
  }
  if (interaction.isChatInputCommand() && interaction.commandName === 'info') {
    const embed = new EmbedBuilder()
      .setTitle('Your info')
      .setColor(0x5865f2)
      .addFields(
        { name: 'Jobs', value: '0 running', inline: true },
        { name: 'Lane', value: 'fast', inline: true },
      );
    const select = new StringSelectMenuBuilder()
      .setCustomId('lane')
      .setPlaceholder('Choose a lane')
      .addOptions(
        { label: 'Fast', value: 'fast', emoji: '⚡' },
        { label: 'Relax', value: 'relax', description: 'Slower' },
      );
    await interaction.reply({
      embeds: [embed],
      components: [new ActionRowBuilder<StringSelectMenuBuilder>().addComponents(select)],
      flags: MessageFlags.Ephemeral,
    });
    return;
  }
  if (interaction.isChatInputCommand() && interaction.commandName === 'setup') {
    await interaction.reply({ content: 'Setup', components: setupRows(), flags: MessageFlags.Ephemeral });
    return;
  }
  if (interaction.isUserContextMenuCommand()) {
    await interaction.showModal(inviteForm(interaction.targetId));
    return;
  }
  if (interaction.isModalSubmit() && interaction.customId.startsWith('invite')) {
    const { fields } = interaction;
    const guests = fields.getSelectedUsers('with', true).map((u) => u.username);
    await interaction.reply({
      content: `${interaction.customId}: ${fields.getTextInputValue('words')} with ${guests.join()} ${fields.getStringSelectValues('lane').join()}`,
      flags: MessageFlags.Ephemeral,
    });
    return;
  }
  if (interaction.isAnySelectMenu() && interaction.message.content.startsWith('Setup')) {
    await interaction.update({
      content: `${interaction.message.content}\n${heard(interaction)}`,
      allowedMentions: { parse: [] },
    });
    return;
  }
  if (interaction.isChatInputCommand()) {
    await interaction.reply({
      content: `${interaction.commandName} ${JSON.stringify(interaction.options.data.map((d) => [d.name, d.value ?? d.options?.map((o) => [o.name, o.value])]))}`,
      flags: MessageFlags.Ephemeral,
    });
    return;
  }
  if (interaction.isStringSelectMenu()) {
    await interaction.update({ content: `Lane: ${interaction.values.join()}`, embeds: [], components: [] });
    return;
  }
  if (interaction.isButton() && interaction.customId === 'again') {
    const input = new TextInputBuilder()
      .setCustomId('prompt')
      .setLabel('Prompt')
      .setStyle(TextInputStyle.Paragraph)
      .setValue('a fox')
      .setMaxLength(4000);
    await interaction.showModal(
      new ModalBuilder()
        .setCustomId('remix')
        .setTitle('Remix')
        .addComponents(new ActionRowBuilder<TextInputBuilder>().addComponents(input)),
    );
    return;
  }
  if (interaction.isButton()) {
    await interaction.deferReply();
    const file = new AttachmentBuilder(await picture('#208050', 128), {
      name: `${interaction.customId}.png`,
    });
    await interaction.editReply({
      content: `**a fox** - Image #${interaction.customId.slice(1)} <@${interaction.user.id}>`,
      files: [file],
      allowedMentions: { parse: [] },
    });
    return;
  }
  if (interaction.isModalSubmit()) {
    await interaction.reply({
      content: `Remixed: ${interaction.fields.getTextInputValue('prompt')}`,
      allowedMentions: { parse: [] },
    });
    return;
  }
  if (interaction.isMessageContextMenuCommand())
    await interaction.reply({
      content: `Recipe of ${interaction.targetMessage.id}`,
      flags: MessageFlags.Ephemeral,
    });
}

export interface ScriptedBot {
  client: Client<true>;
  errors: unknown[];
  stop(): Promise<void>;
}

export async function startBot(playground: Playground): Promise<ScriptedBot> {
  const client = new Client({
    intents: [
      GatewayIntentBits.Guilds,
      GatewayIntentBits.GuildMessages,
      GatewayIntentBits.GuildMessageReactions,
      GatewayIntentBits.DirectMessages,
    ],
    partials: [Partials.Message, Partials.Channel, Partials.Reaction],
    rest: { api: playground.api, cdn: playground.url, mediaProxy: playground.url } as never,
  });
  const errors: unknown[] = [];
  client.on('error', (error) => errors.push(error));
  client.on('interactionCreate', (interaction) => {
    handle(interaction).catch((error) => errors.push(error));
  });
  const ready = new Promise<void>((done) => client.once('clientReady', () => done()));
  await client.login(playground.token);
  await ready;
  await client.application!.commands.set(commands.map((c) => c.toJSON()));
  return { client: client as Client<true>, errors, stop: () => client.destroy() };
}
