"""Each hook prints a line; two are coroutines."""

import asyncio


def on_server_loaded(server_context):
    print(f"loaded, sessions: {len(server_context.sessions)}")


def on_server_unloaded(server_context):
    print(f"unloaded, sessions: {len(server_context.sessions)}")


async def on_session_created(session_context):
    await asyncio.sleep(0.001)
    print(f"created, destroyed: {session_context.destroyed}, sessions: {len(session_context.server_context.sessions)}")


async def on_session_destroyed(session_context):
    await asyncio.sleep(0.001)
    print(f"destroyed, sessions: {len(session_context.server_context.sessions)}")
