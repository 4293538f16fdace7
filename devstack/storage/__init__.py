"""Supabase Storage for the local stack: policies decide in PostgreSQL, bytes lie in files."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devstack.config import GatewayConfig
from devstack.storage import buckets, changes, listing, reads, signing, uploads
from devstack.storage.access import Storage, path_of
from devstack.storage.errors import Json, StorageError, from_database, not_found_body

_OBJECT = "/{bucket}/{key:path}"

ROUTES = [
    Route("/bucket", buckets.create, methods=["POST"]),
    Route("/bucket", buckets.index, methods=["GET"]),
    Route("/bucket/", buckets.index, methods=["GET"]),
    Route("/bucket/{bucket}", buckets.get, methods=["GET"]),
    Route("/bucket/{bucket}", buckets.update, methods=["PUT"]),
    Route("/bucket/{bucket}", buckets.delete, methods=["DELETE"]),
    Route("/bucket/{bucket}/empty", buckets.empty, methods=["POST"]),
    Route("/object/move", changes.move, methods=["POST"]),
    Route("/object/copy", changes.copy, methods=["POST"]),
    Route("/object/list/{bucket}", listing.index, methods=["POST"]),
    Route("/object/list-v2/{bucket}", listing.index_v2, methods=["POST"]),
    Route("/object/upload/sign" + _OBJECT, signing.sign_upload, methods=["POST"]),
    Route("/object/upload/sign" + _OBJECT, uploads.put_signed, methods=["PUT"]),
    Route("/object/sign/{bucket}", signing.sign_many, methods=["POST"]),
    Route("/object/sign" + _OBJECT, signing.sign, methods=["POST"]),
    Route("/object/sign" + _OBJECT, reads.get_signed, methods=["GET"]),
    Route("/object/info/public" + _OBJECT, reads.info_public, methods=["GET"]),
    Route("/object/info/authenticated" + _OBJECT, reads.info, methods=["GET"]),
    Route("/object/info" + _OBJECT, reads.info, methods=["GET"]),
    Route("/object/public" + _OBJECT, reads.get_public, methods=["GET"]),
    Route("/object/authenticated" + _OBJECT, reads.get_authenticated, methods=["GET"]),
    Route("/object/{bucket}", changes.remove_many, methods=["DELETE"]),
    Route("/object" + _OBJECT, reads.get, methods=["GET"]),
    Route("/object" + _OBJECT, uploads.post, methods=["POST"]),
    Route("/object" + _OBJECT, uploads.put, methods=["PUT"]),
    Route("/object" + _OBJECT, changes.remove, methods=["DELETE"]),
]


def create_app(config: GatewayConfig) -> Starlette:
    """The application below /storage/v1; its lifespan opens and closes the database pool."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with app.state.storage.pool:
            yield

    handlers = {StorageError: _refuse, psycopg.Error: _database_refuses, 404: _no_route, 405: _no_route}
    app = Starlette(routes=ROUTES, exception_handlers=handlers, lifespan=lifespan)
    app.router.redirect_slashes = False
    app.state.storage = Storage(config)
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, StorageError)
    return error.response()


async def _database_refuses(request: Request, error: Exception) -> Response:
    assert isinstance(error, psycopg.Error)
    return from_database(error).response()


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    query = f"?{request.url.query}" if request.url.query else ""
    url = path_of(request) + query
    # Image transformation is a known route that is switched off, which shows.
    kind = JSONResponse if url.startswith("/render/") else Json
    return kind(not_found_body(request.method, url), status_code=404)
