//! A gRPC port reached directly, past the gateway.

use contracts::auth::v1::IssueServiceTokenRequest;
use contracts::auth::v1::auth_service_client::AuthServiceClient;
use http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use crate::stack::{SECRET, Stack};

/// A service's port.
#[derive(Clone)]
pub struct Port {
    pub service: &'static str,
    channel: Channel,
}

impl Port {
    pub async fn connect(stack: &Stack, service: &'static str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{}", stack.grpc_address(service))).unwrap();
        Self {
            service,
            channel: endpoint.connect().await.unwrap(),
        }
    }

    /// Calls a method with an empty message, and a token where there is one.
    pub async fn call(&self, path: &'static str, token: Option<&str>) -> Code {
        let mut request = Request::new(());
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.unwrap();
        let answer = client
            .unary(
                request,
                PathAndQuery::from_static(path),
                ProstCodec::<(), ()>::default(),
            )
            .await;
        answer.map_or_else(|status| status.code(), |_| Code::Ok)
    }
}

/// A token with which one process calls another, as auth gives it for the secret.
pub async fn service_token(stack: &Stack, service: &str, called: &str) -> Result<String, Code> {
    let address = format!("http://{}", stack.grpc_address("auth"));
    let mut auth = AuthServiceClient::connect(address).await.unwrap();
    let request = IssueServiceTokenRequest {
        service: service.to_owned(),
        secret: SECRET.to_owned(),
        audience: called.to_owned(),
    };
    let answer = auth.issue_service_token(request).await;
    answer
        .map(|answer| answer.into_inner().access_token)
        .map_err(|status| status.code())
}
