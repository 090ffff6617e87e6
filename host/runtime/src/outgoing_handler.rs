//! `wasi:http/outgoing-handler` with a stricter check of paths than the standard's implementation has.
//!
//! `http::Uri` cuts fragments off, so that the guard would see less than the guest wrote. A path with one is refused here.

use crate::state::State;
use wasmtime::component::{Linker, Resource};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi_http::p2::HttpResult;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Host as _, RequestOptions};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView as _};

type Request = Resource<HostOutgoingRequest>;
type Options = Option<Resource<RequestOptions>>;
type Response = Resource<HostFutureIncomingResponse>;

/// Links the interface. Every component that imports 0.2 in any patch version gets it.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    let mut interface = linker.instance("wasi:http/outgoing-handler@0.2.0")?;
    interface.func_wrap("handle", |mut store: StoreContextMut<'_, State>, (request, options): (Request, Options)| {
        let mut view = store.data_mut().http();
        Ok((match handle(&mut view, request, options) {
            Ok(response) => Ok(response),
            Err(error) => Err(view.convert_error_code(error)?),
        },))
    })
}

fn handle(view: &mut WasiHttpCtxView<'_>, request: Request, options: Options) -> HttpResult<Response> {
    let path = view.table.get(&request)?.path_with_query.as_deref();
    if path.is_some_and(|path| path.contains('#')) {
        // The guest has handed the request over, as to the standard's implementation.
        view.table.delete(request)?;
        return Err(ErrorCode::HttpRequestUriInvalid.into());
    }
    view.handle(request, options)
}
