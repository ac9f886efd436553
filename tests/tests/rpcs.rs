//! The gRPC ports, reached past the gateway: every method asks for a token of its own kind.
#![expect(clippy::print_stdout, reason = "measured figures of a test")]

use std::collections::BTreeMap;

use contracts::{Auth, METHODS};
use dev_stack::stack::{SERVICES, identifier};
use journeys::Stack;
use journeys::api::text;
use journeys::people::{admin, student};
use journeys::rpc::{Port, service_token};
use serde_json::json;
use tonic::Code;

/// What each service may call of each other one, written by hand: what is not here is refused.
const CALLS: &[(&str, &[&str])] = &[
    (
        "BatchGetUsers",
        &[
            "catalog",
            "enrollment",
            "exam",
            "notification",
            "reporting",
            "video_progress",
        ],
    ),
    ("ExportPersonalData", &["auth"]),
    ("FindUsersByEmail", &["enrollment"]),
    (
        "GetCourseState",
        &[
            "enrollment",
            "exam",
            "notification",
            "reporting",
            "video_progress",
        ],
    ),
    (
        "GetEnrollmentState",
        &["catalog", "exam", "notification", "reporting", "video_progress"],
    ),
    ("GetHeldOperation", &["auth"]),
    ("GetHeldOperationResult", &["auth"]),
    ("GetVideoState", &["video_progress"]),
    ("ListNotificationsAfter", &["gateway"]),
    ("ListRevocations", &["*"]),
    ("ListVideoStates", &["video_progress"]),
];

#[test]
fn every_rpc_between_services_says_who_may_call_it() {
    let mut found: Vec<(&str, &[&str])> = METHODS
        .iter()
        .filter(|method| method.policy.auth == Auth::Service)
        .map(|method| (method.name, method.policy.callers))
        .collect();
    found.sort_unstable();
    assert_eq!(found, CALLS);
}

/// Service tokens by the service that asked for them and the one that is called.
type Tokens = BTreeMap<(String, String), String>;

/// Every token that auth gives to a service.
async fn service_tokens(stack: &Stack) -> Tokens {
    let mut tokens = Tokens::new();
    let callers = SERVICES.iter().chain(&["gateway"]).map(|name| identifier(name));
    for caller in callers.filter(|name| name != "auth") {
        for called in SERVICES.iter().map(|name| identifier(name)) {
            let may = METHODS
                .iter()
                .any(|method| method.service == called && method.policy.lets(&caller));
            match service_token(stack, &caller, &called).await {
                Ok(token) => {
                    assert!(may, "{caller} got a token for {called}");
                    tokens.insert((caller.clone(), called), token);
                }
                Err(code) => {
                    assert_eq!(code, Code::PermissionDenied);
                    assert!(!may, "{caller} got no token for {called}");
                }
            }
        }
    }
    tokens
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_asks_for_a_token_of_its_own_kind() {
    let stack = Stack::start().await;
    let (boss, ada) = (admin(&stack).await, student(&stack, "ada").await);
    let credentials = json!({"email": ada.email, "password": journeys::people::PASSWORD});
    let signed_in = stack
        .api()
        .post("/api/v1/auth/login", credentials)
        .await
        .expect(200);
    let (user, refresh) = (
        text(&signed_in, "access_token"),
        text(&signed_in, "refresh_token"),
    );
    let ticket = ada.api.post("/api/v1/live/ticket", json!({})).await.expect(200);
    let ticket = text(&ticket, "ticket");
    let admin_token = boss.api.token().unwrap();
    let tokens = service_tokens(&stack).await;
    let mut wrong = Vec::new();
    let mut calls = 0;
    for service in SERVICES {
        let port = Port::connect(&stack, service).await;
        let own = identifier(service);
        for method in METHODS {
            let is_served = method.service == own
                || (method.service == "privacy" && own != "auth")
                || (method.service == "operations" && own == "reporting");
            let mut cases: Vec<(String, Option<&str>, Code)> = Vec::new();
            let mut case = |what: &str, token, expected| cases.push((what.to_owned(), token, expected));
            let auth = method.policy.auth;
            if matches!(auth, Auth::Required | Auth::Service) {
                // Also where the method is not served: nobody learns what is.
                case("no token", None, Code::Unauthenticated);
                case("an empty token", Some(""), Code::Unauthenticated);
            }
            if auth != Auth::Public && is_served {
                case("nonsense", Some("a.b.c"), Code::Unauthenticated);
                case("a refresh token", Some(refresh), Code::Unauthenticated);
                case("a live ticket", Some(ticket), Code::Unauthenticated);
                for ((caller, called), token) in &tokens {
                    let what = format!("{caller}'s token for {called}");
                    if *called != own {
                        case(&what, Some(token.as_str()), Code::Unauthenticated);
                    } else if !method.policy.lets(caller) {
                        case(&what, Some(token.as_str()), Code::PermissionDenied);
                    }
                }
                if auth == Auth::Service {
                    case("a student's token", Some(user), Code::PermissionDenied);
                    case("an admin's token", Some(admin_token), Code::PermissionDenied);
                }
                if method
                    .policy
                    .permission
                    .is_some_and(|may| may != "enrollments:enroll")
                {
                    case("a student's token", Some(user), Code::PermissionDenied);
                }
            }
            for (what, token, expected) in cases {
                calls += 1;
                let code = port.call(method.path, token).await;
                if code != expected {
                    wrong.push(format!(
                        "{} at {service} with {what}: {code:?} instead of {expected:?}",
                        method.name
                    ));
                }
            }
            // And the right one is let in, whatever is said about the empty message.
            for ((caller, called), token) in &tokens {
                if *called == own && method.service == own && method.policy.lets(caller) {
                    calls += 1;
                    let code = port.call(method.path, Some(token)).await;
                    if matches!(code, Code::Unauthenticated | Code::PermissionDenied) {
                        wrong.push(format!("{} at {service} by {caller}: {code:?}", method.name));
                    }
                }
            }
        }
        let unknown = port.call("/sc.auth.v1.AuthService/Nonsense", None).await;
        assert_eq!(unknown, Code::Unimplemented);
    }
    println!("{calls} calls of {} methods", METHODS.len());
    assert!(
        wrong.is_empty(),
        "{} of {calls} calls:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
