//! Live push through the real processes: from an enrolment to an open socket.
#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use std::time::Duration;

use futures::StreamExt;
use journeys::Stack;
use journeys::api::text;
use journeys::people::{admin, course, enroll, student, teacher};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

const PATIENCE: Duration = Duration::from_mins(1);

async fn connect(stack: &Stack, query: &str, offered: Option<&str>) -> WebSocketStream<TcpStream> {
    let address = stack.gateway_address();
    let url = format!("ws://{address}/api/v1/live{query}");
    let mut request = url.into_client_request().unwrap();
    if let Some(offered) = offered {
        request
            .headers_mut()
            .insert("sec-websocket-protocol", offered.parse().unwrap());
    }
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut socket, _) = client_async(request, stream).await.unwrap();
    assert_eq!(next(&mut socket).await, Ok(json!({"type": "ready"})));
    socket
}

/// The next frame, or the code it was closed with.
async fn next(socket: &mut WebSocketStream<TcpStream>) -> Result<Value, u16> {
    loop {
        let message = timeout(PATIENCE, socket.next()).await.unwrap();
        match message.unwrap().unwrap() {
            Message::Text(text) => return Ok(serde_json::from_str(&text).unwrap()),
            Message::Close(frame) => return Err(frame.unwrap().code.into()),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_arrives_on_open_sockets_until_the_session_ends() {
    let stack = Stack::start().await;
    let boss = admin(&stack).await;
    let (deniz, ada) = (
        teacher(&stack, &boss, "deniz").await,
        student(&stack, "ada").await,
    );
    let first = text(&course(&deniz, "Matematik I").await, "id").to_owned();
    let second = text(&course(&deniz, "Matematik II").await, "id").to_owned();
    let inbox = ada.api.get("/api/v1/users/me/notifications").await.expect(200);
    let welcome = text(&inbox["notifications"][0], "id").to_owned();

    let offered = format!("bearer, {}", ada.api.token().unwrap());
    let mut by_token = connect(&stack, "", Some(&offered)).await;
    let ticket = ada.api.post("/api/v1/live/ticket", json!({})).await.expect(200);
    assert_eq!(ticket["expires_in"], 30);
    let query = format!("?ticket={}", text(&ticket, "ticket"));
    let mut by_ticket = connect(&stack, &query, None).await;

    enroll(&ada, &first).await;
    for socket in [&mut by_token, &mut by_ticket] {
        let frame = next(socket).await.unwrap();
        assert_eq!(
            (&frame["type"], &frame["kind"], &frame["link"]),
            (
                &json!("notification"),
                &json!("enrollment.created"),
                &json!(format!("/courses/{first}"))
            )
        );
    }
    drop(by_ticket);
    enroll(&ada, &second).await;
    let told = next(&mut by_token).await.unwrap();
    assert_eq!(told["link"], format!("/courses/{second}"));

    let mut resumed = connect(&stack, &format!("?after={welcome}"), Some(&offered)).await;
    for course in [&first, &second] {
        assert_eq!(
            next(&mut resumed).await.unwrap()["link"],
            format!("/courses/{course}")
        );
    }
    ada.api
        .send(Method::POST, "/api/v1/auth/logout", Some(json!({})), &[])
        .await
        .expect(204);
    for socket in [&mut by_token, &mut resumed] {
        assert_eq!(next(socket).await, Err(1008));
    }
}
