use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde_json::{Value, json};
use typed_id::{SessionId, TokenId, UserId};

use super::*;
use crate::keys::BoxError;
use crate::{Issuer, Jwk, Revocation, RevocationKind, SigningKey, UserToken};

/// A key set that can change and be away.
#[derive(Default)]
struct Source {
    keys: Mutex<Option<Vec<Jwk>>>,
    asked: AtomicUsize,
}

#[async_trait]
impl KeySource for Source {
    async fn fetch(&self) -> Result<Vec<Jwk>, BoxError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.keys.lock().clone().ok_or_else(|| "away".into())
    }
}

struct World {
    issuer: Issuer,
    source: Arc<Source>,
    verifier: Arc<Verifier>,
    clock: Clock,
}

fn world() -> World {
    let clock = Clock::fixed(OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap());
    let issuer = Issuer::new(SigningKey::generate("k1").unwrap(), "sc", "sc-api");
    let source = Arc::new(Source::default());
    *source.keys.lock() = Some(vec![issuer.key().public_jwk()]);
    let verifier = Verifier::new(
        source.clone(),
        Revocations::default(),
        "sc",
        "sc-api",
        clock.clone(),
    );
    let verifier = Arc::new(verifier.serving("sc-api", "exam"));
    World {
        issuer,
        source,
        verifier,
        clock,
    }
}

impl World {
    fn token(&self) -> (String, UserId, SessionId) {
        let now = self.clock.now();
        let (user_id, session_id) = (UserId::new(now), SessionId::new(now));
        let token = self.issuer.issue_user(&UserToken {
            user_id,
            session_id,
            impersonator: None,
            token_id: TokenId::new(now),
            roles: &["teacher".to_owned()],
            permissions: &["courses:write".to_owned()],
            now,
            ttl: time::Duration::minutes(15),
        });
        (token.unwrap(), user_id, session_id)
    }

    async fn code(&self, token: &str) -> &'static str {
        self.verifier
            .verify(token)
            .await
            .map_or_else(|problem| problem.code().name, |_| "ok")
    }
}

/// The token with its header and claims changed, signed by the true key.
fn resigned(world: &World, token: &str, change: impl FnOnce(&mut Value, &mut Value)) -> String {
    let part = |index: usize| -> Value {
        serde_json::from_slice(
            &URL_SAFE_NO_PAD
                .decode(token.split('.').nth(index).unwrap())
                .unwrap(),
        )
        .unwrap()
    };
    let (mut header, mut claims) = (part(0), part(1));
    change(&mut header, &mut claims);
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let pair =
        aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(world.issuer.key().to_pkcs8())
            .unwrap();
    format!(
        "{signed}.{}",
        URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()))
    )
}

#[tokio::test]
async fn a_live_token_tells_who_calls() {
    let world = world();
    let (token, user_id, _) = world.token();
    let caller = world.verifier.verify(&token).await.unwrap();
    assert_eq!(caller.user().unwrap().id, user_id);
    assert!(caller.has("courses:write") && !caller.has("users:write"));
    let service = world
        .issuer
        .issue_service("catalog", "exam", world.clock.now(), time::Duration::minutes(10))
        .unwrap();
    assert!(
        matches!(world.verifier.verify(&service).await.unwrap(), Caller::Service(name) if &*name == "catalog")
    );
}

#[tokio::test]
async fn every_forged_token_is_refused() {
    let world = world();
    let (token, ..) = world.token();
    let public = URL_SAFE_NO_PAD.decode(world.issuer.key().public_jwk().x).unwrap();
    type Change = Box<dyn Fn(&mut Value, &mut Value)>;
    let header = |member: &'static str, value: Value| -> (String, Change) {
        (
            format!("header {member}={value}"),
            Box::new(move |header, _| header[member] = value.clone()),
        )
    };
    let claim = |member: &'static str, value: Value| -> (String, Change) {
        (
            format!("claim {member}={value}"),
            Box::new(move |_, claims| claims[member] = value.clone()),
        )
    };
    let without = |member: &'static str| -> (String, Change) {
        (
            format!("no {member}"),
            Box::new(move |_, claims| _ = claims.as_object_mut().unwrap().remove(member)),
        )
    };
    let cases = [
        header("alg", json!("none")),
        header("alg", json!("HS256")),
        header("alg", json!("ES256")),
        header("typ", json!("JWT")),
        header("typ", json!("svc+jwt")),
        header("typ", Value::Null),
        header("kid", json!("../../etc/passwd")),
        header("kid", Value::Null),
        header("jku", json!("https://evil.example/keys")),
        header("x5u", json!("https://evil.example/cert")),
        header(
            "jwk",
            json!({"kty": "OKP", "crv": "Ed25519", "x": world.issuer.key().public_jwk().x}),
        ),
        claim("aud", json!("sc-api/exam")),
        claim("iss", json!("another")),
        claim("aud", json!("another")),
        claim("aud", json!(["sc-api", "another"])),
        claim("exp", json!("9999999999")),
        claim("exp", json!(1e300)),
        claim("exp", Value::Null),
        claim("iat", json!("1800000000")),
        claim("nbf", json!("0")),
        claim("exp", json!(1_799_999_990)),
        claim("nbf", json!(1_800_000_100)),
        claim("sub", json!("service:auth")),
        claim("sub", json!("not-a-uuid")),
        without("exp"),
        without("nbf"),
        without("iss"),
        without("aud"),
        without("sub"),
        without("sid"),
    ];
    for (name, change) in cases {
        let forged = resigned(&world, &token, |header, claims| change(header, claims));
        assert_eq!(world.code(&forged).await, "invalid_token", "{name}");
    }
    // The public key used as a secret.
    let secret = jsonwebtoken::EncodingKey::from_secret(&public);
    let hs = jsonwebtoken::encode(
        &jsonwebtoken::Header::new(Algorithm::HS256),
        &json!({"sub": "x"}),
        &secret,
    )
    .unwrap();
    // No signature at all.
    let unsigned = resigned(&world, &token, |header, _| header["alg"] = json!("none"));
    let unsigned = format!("{}.", unsigned.rsplit_once('.').unwrap().0);
    let long = "a".repeat(MAX_BYTES + 1);
    for forged in [
        hs.as_str(),
        &unsigned,
        "",
        "a.b.c",
        &token[..token.len() - 4],
        &format!("{token}A"),
        &long,
    ] {
        assert_eq!(world.code(forged).await, "invalid_token", "{forged}");
    }
    assert_eq!(world.code(&resigned(&world, &token, |_, _| {})).await, "ok");
}

#[tokio::test]
async fn a_service_token_is_good_at_the_service_that_it_names_alone() {
    let world = world();
    let issue = |called| {
        let ttl = time::Duration::minutes(10);
        world
            .issuer
            .issue_service("catalog", called, world.clock.now(), ttl)
            .unwrap()
    };
    let good = issue("exam");
    assert_eq!(world.code(&good).await, "ok");
    for called in ["auth", "exams", "", "*", "exam/../auth"] {
        assert_eq!(world.code(&issue(called)).await, "invalid_token", "{called}");
    }
    // Nor is it a user's token, nor one of a service without a name.
    type Change = Box<dyn Fn(&mut Value, &mut Value)>;
    let session = json!(SessionId::new(world.clock.now()));
    let changes: [(&str, Change); 5] = [
        ("typ", Box::new(|header, _| header["typ"] = json!("at+jwt"))),
        ("aud", Box::new(|_, claims| claims["aud"] = json!("sc-api"))),
        (
            "two aud",
            Box::new(|_, claims| claims["aud"] = json!(["sc-api/exam", "sc-api"])),
        ),
        ("sub", Box::new(|_, claims| claims["sub"] = json!("catalog"))),
        ("sid", Box::new(move |_, claims| claims["sid"] = session.clone())),
    ];
    for (name, change) in changes {
        let forged = resigned(&world, &good, |header, claims| change(header, claims));
        assert_eq!(world.code(&forged).await, "invalid_token", "{name}");
    }
    // Where nobody calls as a service, as at the gateway, there is none that is good.
    let edge = Verifier::new(
        world.source.clone(),
        Revocations::default(),
        "sc",
        "sc-api",
        world.clock.clone(),
    );
    assert!(edge.verify(&good).await.is_err());
    assert!(edge.verify(&world.token().0).await.is_ok());
}

#[tokio::test]
async fn what_a_withdrawn_key_has_signed_is_refused_at_once_and_the_key_forgotten() {
    let world = world();
    let (token, ..) = world.token();
    let caller = world.verifier.verify(&token).await.unwrap();
    let mut told = world.verifier.revocations().withdrawn_keys();
    let entry = Revocation {
        kind: RevocationKind::Key,
        subject: "k1".into(),
        revoked_at: world.clock.now(),
        expires_at: world.clock.now() + Duration::from_hours(24),
    };
    world.verifier.revocations().apply(entry.clone());
    assert!(told.has_changed().unwrap());
    told.mark_unchanged();
    world.verifier.revocations().apply(entry);
    assert!(!told.has_changed().unwrap(), "known already");
    assert_eq!(world.code(&token).await, "invalid_token");
    // Also one from the future, and for who was let in before, as with an open socket.
    let future = resigned(&world, &token, |_, claims| {
        claims["iat_us"] = json!(9_000_000_000_000_000_i64);
    });
    assert_eq!(world.code(&future).await, "invalid_token");
    assert!(world.verifier.revocations().concern_user(caller.user().unwrap()));

    // The entry goes some day; the key has to be gone by then.
    let next = Issuer::new(SigningKey::generate("k2").unwrap(), "sc", "sc-api");
    *world.source.keys.lock() = Some(vec![]);
    assert!(
        world.verifier.refresh_keys().await.is_err(),
        "no keys are no answer"
    );
    *world.source.keys.lock() = Some(vec![next.key().public_jwk()]);
    world.verifier.refresh_keys().await.unwrap();
    world
        .verifier
        .revocations()
        .purge(world.clock.now() + Duration::from_hours(24));
    let (fresh, ..) = world.token();
    assert_eq!(world.code(&fresh).await, "invalid_token");
    let by_next = next
        .issue_service("catalog", "exam", world.clock.now(), time::Duration::minutes(10))
        .unwrap();
    assert_eq!(world.code(&by_next).await, "ok");
}

#[tokio::test]
async fn a_token_ends_when_it_expires_also_when_it_is_remembered() {
    let world = world();
    let (token, ..) = world.token();
    assert_eq!(world.code(&token).await, "ok");
    world.clock.advance(Duration::from_secs(15 * 60 + 6));
    assert_eq!(world.code(&token).await, "invalid_token");
}

#[tokio::test]
async fn revocations_hold_at_once_and_only_where_meant() {
    let world = world();
    let ((first, user, session), (second, ..)) = (world.token(), world.token());
    assert_eq!(world.code(&first).await, "ok");
    let expires_at = world.clock.now() + Duration::from_mins(15);
    let revoke = |kind, subject: String, revoked_at| {
        world.verifier.revocations().apply(Revocation {
            kind,
            subject,
            revoked_at,
            expires_at,
        });
    };
    // Tokens issued after the moment stay valid.
    revoke(RevocationKind::User, user.to_string(), world.clock.now());
    assert_eq!(world.code(&first).await, "ok");
    revoke(
        RevocationKind::User,
        user.to_string(),
        world.clock.now() + Duration::from_micros(1),
    );
    assert_eq!(world.code(&first).await, "invalid_token");
    assert_eq!(world.code(&second).await, "ok");
    world.verifier.revocations().purge(expires_at);
    assert!(world.verifier.revocations().is_empty());
    revoke(RevocationKind::Session, session.to_string(), world.clock.now());
    assert_eq!(world.code(&first).await, "invalid_token");
}

#[tokio::test(start_paused = true)]
async fn keys_rotate_and_are_kept_while_their_source_is_away() {
    let world = world();
    let (token, ..) = world.token();
    // A stampede of first tokens asks once.
    let all = (0..200).map(|_| world.code(&token));
    assert!(
        futures::future::join_all(all)
            .await
            .iter()
            .all(|code| *code == "ok")
    );
    assert_eq!(world.source.asked.load(Ordering::SeqCst), 1);

    let next = Issuer::new(SigningKey::generate("k2").unwrap(), "sc", "sc-api");
    let fresh = next
        .issue_service("catalog", "exam", world.clock.now(), time::Duration::minutes(10))
        .unwrap();
    *world.source.keys.lock() = Some(vec![world.issuer.key().public_jwk(), next.key().public_jwk()]);
    assert_eq!(world.code(&fresh).await, "invalid_token", "asked a moment ago");
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(world.code(&fresh).await, "ok");

    *world.source.keys.lock() = None;
    tokio::time::advance(Duration::from_secs(11)).await;
    let unknown = Issuer::new(SigningKey::generate("k3").unwrap(), "sc", "sc-api");
    let unknown = unknown
        .issue_service("catalog", "exam", world.clock.now(), time::Duration::minutes(10))
        .unwrap();
    assert_eq!(world.code(&unknown).await, "invalid_token");
    assert_eq!(world.code(&world.token().0).await, "ok");
}

#[tokio::test(start_paused = true)]
async fn without_any_key_the_answer_is_try_later() {
    let world = world();
    let keys = world.source.keys.lock().take();
    let (token, ..) = world.token();
    // A crowd asks once, and nobody waits for the fetches of those before.
    let crowd = futures::future::join_all((0..200).map(|_| world.code(&token))).await;
    assert!(crowd.iter().all(|code| *code == "unavailable"));
    assert_eq!(world.source.asked.load(Ordering::SeqCst), 1);

    *world.source.keys.lock() = keys;
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(world.code(&token).await, "ok");
}

proptest::proptest! {
    #[test]
    fn no_text_is_taken_for_a_token_or_makes_it_panic(text in "[ -~]{0,20}|[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        proptest::prop_assert_eq!(runtime.block_on(world().code(&text)), "invalid_token");
    }
}
