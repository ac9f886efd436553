//! The process itself, over gRPC.

use clock::Clock;
use contracts::auth::v1::auth_service_client::AuthServiceClient;
use contracts::auth::v1::user_service_client::UserServiceClient;
use contracts::auth::v1::{
    GetJwksRequest, GetMeRequest, IssueServiceTokenRequest, ListRevocationsRequest, ListUsersRequest,
    LoginRequest, LogoutRequest,
};
use service_runtime::testing;
use test_support::{TestBroker, TestDatabase, TestRedis};
use tonic::{Code, Request};

use super::school::{ENCRYPTION_KEY, PASSWORD, request};
use crate::app::Auth;

fn with<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_asks_for_tokens_and_judges_them() {
    let (database, redis, broker) = (
        TestDatabase::new("auth").await,
        TestRedis::new(),
        TestBroker::new().await,
    );
    let overrides = [
        ("SC_ENV", "test"),
        ("SC_DATABASE__URL", &database.url()),
        ("SC_REDIS__URL", redis.url()),
        ("SC_REDIS__PREFIX", redis.prefix()),
        ("SC_AMQP__URL", &broker.url()),
        ("SC_KEYS__ENCRYPTION_KEY", ENCRYPTION_KEY),
        ("SC_SERVICE_SECRETS__CATALOG", "the secret of the catalogue"),
    ];
    let process = testing::start::<Auth>(&overrides, Clock::system()).await.unwrap();
    let address = format!("http://{}", process.grpc.unwrap());
    let mut auth = AuthServiceClient::connect(address.clone()).await.unwrap();
    let mut users = UserServiceClient::connect(address).await.unwrap();

    auth.register(request("ada@school.test")).await.unwrap();
    let mut faulty = request("nonsense");
    faulty.password = "short".into();
    assert_eq!(
        auth.register(faulty).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let credentials = LoginRequest {
        email: "ADA@school.test".into(),
        password: PASSWORD.into(),
        ..LoginRequest::default()
    };
    let tokens = auth.login(credentials).await.unwrap().into_inner();

    let token = &tokens.access_token;
    let anonymous = users.get_me(GetMeRequest {}).await;
    assert_eq!(anonymous.unwrap_err().code(), Code::Unauthenticated);
    let me = users
        .get_me(with(GetMeRequest {}, token))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(me.email, "ada@school.test");
    let list = users.list_users(with(ListUsersRequest::default(), token)).await;
    assert_eq!(list.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(
        auth.get_jwks(GetJwksRequest {})
            .await
            .unwrap()
            .into_inner()
            .keys
            .len(),
        1
    );

    let asked = auth
        .list_revocations(with(ListRevocationsRequest { since: None }, token))
        .await;
    assert_eq!(asked.unwrap_err().code(), Code::PermissionDenied);
    auth.logout(with(LogoutRequest {}, token)).await.unwrap();
    let after = users.get_me(with(GetMeRequest {}, token)).await;
    assert_eq!(after.unwrap_err().code(), Code::Unauthenticated);
    let secret = IssueServiceTokenRequest {
        service: "catalog".into(),
        secret: "the secret of the catalogue".into(),
        audience: "auth".into(),
    };
    let service = auth.issue_service_token(secret).await.unwrap().into_inner();
    let entries = auth
        .list_revocations(with(
            ListRevocationsRequest { since: None },
            &service.access_token,
        ))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(entries.revocations.len(), 1);
    process.stop().await.unwrap();
}
