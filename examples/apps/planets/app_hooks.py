"""Each hook leaves a trace; one of them is a coroutine, as any may be."""

import asyncio


def on_server_loaded(server_context):
    print(f"planets: loaded, {len(server_context.sessions)} sessions")


async def on_session_created(session_context):
    await asyncio.sleep(0)
    print(f"planets: session created, {len(session_context.server_context.sessions)} open")


def on_session_destroyed(session_context):
    print(f"planets: session destroyed, {len(session_context.server_context.sessions)} open")


def on_server_unloaded(server_context):
    print(f"planets: unloaded, {len(server_context.sessions)} sessions")
