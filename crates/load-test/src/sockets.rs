//! What an idle live socket costs the gateway.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use dev_stack::status::Status;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::client::{Client, text};
use crate::prepare::sign_in;
use crate::processes::resident;
use crate::wire::{address_of, dial};

const AT_A_TIME: usize = 64;

/// Opens so many sockets, and weighs the gateway before and after.
pub async fn weigh(client: &Client, status: &Status, count: usize) -> Result<String> {
    let session = sign_in(client, "student@demo.test", "demo-demo-demo").await?;
    let offered = format!("bearer, {}", text(&session, "access_token")?);
    let address = status.gateway.trim_start_matches("http://");
    let gateway = status.services.get("gateway").context("no gateway runs")?;
    let weight = || resident(gateway.pid).context("the gateway is gone");
    let before = weight()?;
    let gateway_address: SocketAddr = address.parse()?;
    let opening = stream::iter(0..count).map(|number| {
        let offered = &offered;
        async move {
            let mut request = format!("ws://{address}/api/v1/live").into_client_request()?;
            request
                .headers_mut()
                .insert("sec-websocket-protocol", offered.parse()?);
            let stream = dial(gateway_address, address_of(number)).await?;
            let config = WebSocketConfig::default().read_buffer_size(512);
            let (mut socket, _) = client_async_with_config(request, stream, Some(config)).await?;
            socket.next().await.context("no first frame")??;
            Ok::<_, anyhow::Error>(socket)
        }
    });
    let mut sockets: Vec<_> = opening.buffer_unordered(AT_A_TIME).try_collect().await.context(
        "are rate limits off, and SC_LIVE__MAX_SOCKETS_PER_USER and the limit of open files high enough?",
    )?;
    let after = weight()?;
    // One user may have so many and no more: the oldest would have been closed.
    let closed = sockets
        .iter_mut()
        .filter_map(|socket| socket.next().now_or_never());
    ensure!(
        closed.count() == 0,
        "not all stayed open: see SC_LIVE__MAX_SOCKETS_PER_USER"
    );
    let each = (after - before) / sockets.len().max(1) as f64;
    Ok(format!(
        "{} sockets: {before:.0} -> {after:.0} KiB, {each:.1} KiB each",
        sockets.len()
    ))
}
