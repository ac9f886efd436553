//! The processes talk over mutual TLS: a learner notices nothing, and nobody without a certificate gets a word.
#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use dev_stack::stack::SERVICES;
use journeys::api::text;
use journeys::people::{admin, course, enroll, exam, student, teacher};
use journeys::{Stack, StackOptions};
use peer_tls::{PeerTls, TlsFiles};
use rpc_client::{RpcClient, RpcSettings};
use serde_json::json;
use test_support::{Certificate, TestAuthority};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use contracts::auth::v1::GetJwksRequest;
use contracts::auth::v1::rpc::GetJwks;

fn client(url: &str, files: &Certificate) -> RpcClient {
    let files = TlsFiles {
        tls_cert: files.cert.clone(),
        tls_key: files.key.clone(),
        tls_ca: files.ca.clone(),
    };
    let tls = PeerTls::read(files)
        .map_err(|faults| format!("{faults:?}"))
        .unwrap();
    RpcClient::over("auth", url, &RpcSettings::default(), None, Some(&tls)).unwrap()
}

async fn keys(client: &RpcClient) -> Result<usize, Code> {
    let answer = client.call::<GetJwks>(GetJwksRequest {}).await;
    answer
        .map(|answer| answer.into_inner().keys.len())
        .map_err(|status| status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_goes_her_way_over_mutual_tls() {
    let options = StackOptions {
        tls: true,
        ..StackOptions::default()
    };
    let stack = Stack::start_with(options).await;
    let boss = admin(&stack).await;
    let (deniz, ada) = (
        teacher(&stack, &boss, "deniz").await,
        student(&stack, "ada").await,
    );
    // Through the gateway to each service, which ask auth, catalog and enrollment in between.
    let course = course(&deniz, "Cryptography").await;
    let course = text(&course, "id");
    enroll(&ada, course).await;
    let video = json!({"youtube_id": "abcdefghijk", "title": "Handshakes"});
    let at = format!("/api/v1/courses/{course}/videos");
    let video = deniz.api.post(&at, video).await.expect(201);
    let embed = format!("/api/v1/videos/{}/embed", text(&video, "id"));
    stack
        .eventually(|| async { (ada.api.get(&embed).await.status == 200).then_some(()) })
        .await;
    let exam = exam(&deniz, course, 1, json!({})).await;
    let attempts = format!("/api/v1/exams/{}/attempts", text(&exam, "id"));
    ada.api.post(&attempts, json!({})).await.expect(201);
    let inbox = "/api/v1/users/me/notifications";
    stack
        .eventually(|| async {
            let told = ada.api.get(inbox).await.expect(200);
            (told["notifications"].as_array()?.len() >= 2).then_some(())
        })
        .await;
    // The export asks every service as auth.
    let begun = ada.api.get("/api/v1/users/me/export").await.expect(202);
    let operation = format!("/api/v1/operations/{}", text(&begun, "id"));
    stack
        .eventually(|| async {
            (ada.api.get(&operation).await.expect(200)["state"] == "succeeded").then_some(())
        })
        .await;

    let ours = stack.authority().unwrap();
    let auth = stack.grpc_address("auth");
    let url = format!("https://{auth}");
    assert_eq!(keys(&client(&url, &ours.issue(&["a-caller"]))).await, Ok(1));
    // The certificate is for 127.0.0.1; under another name of the same host it is somebody else's.
    let elsewhere = url.replace("127.0.0.1", "localhost");
    assert_eq!(
        keys(&client(&elsewhere, &ours.issue(&["a-caller"]))).await,
        Err(Code::Unavailable)
    );
    let theirs = TestAuthority::new();
    let stranger = theirs.issue(&["a-caller"]);
    // One that believes our authority, but has its certificate from another.
    std::fs::write(&stranger.ca, ours.pem()).unwrap();
    for service in SERVICES {
        let address = stack.grpc_address(service);
        let refused = keys(&client(&format!("https://{address}"), &stranger)).await;
        // How a connection breaks has many names; the keys are public, so that whoever is let in gets them.
        assert!(refused.is_err(), "{service}: {refused:?}");
        let plain = RpcClient::new(
            "auth",
            &format!("http://{address}"),
            &RpcSettings::default(),
            None,
        )
        .unwrap();
        let refused = keys(&plain).await;
        assert!(refused.is_err(), "{service}: {refused:?}");
        let mut raw = TcpStream::connect(&address).await.unwrap();
        raw.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut heard = Vec::new();
        let _ = raw.read_to_end(&mut heard).await;
        assert!(heard.len() < 20, "{service} answers plain text: {heard:?}");
    }
}
