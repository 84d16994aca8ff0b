"""A small bot on discord.py, for the playground's own tests."""

import io
import os
import struct
import zlib

import discord
import yarl
from discord import app_commands

api = os.environ["DISCORD_API"]
discord.http.Route.BASE = f"{api}/v10"
gateway = yarl.URL(api.replace("http", "ws", 1).removesuffix("/api") + "/gateway")
discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = gateway


def png(width=16, height=16):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x40\x80\x20" * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Buttons(discord.ui.View):
    @discord.ui.button(label="U1", custom_id="u1")
    async def u1(self, interaction, button):
        await interaction.response.send_message("clicked u1", ephemeral=True)


client = discord.Client(intents=discord.Intents(guilds=True, guild_messages=True))
tree = app_commands.CommandTree(client)


@tree.command(description="Paint")
async def imagine(interaction: discord.Interaction, prompt: str):
    await interaction.response.defer()
    file = discord.File(io.BytesIO(png()), "grid.png")
    await interaction.edit_original_response(content=f"**{prompt}**", attachments=[file], view=Buttons())


@client.event
async def on_ready():
    await tree.sync()


client.run(os.environ["DISCORD_TOKEN"], log_level=30)
