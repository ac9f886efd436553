//! Signing in with an identity provider, against a small one of our own and what an attacker would have it, or the browser, say.

mod provider;

use std::time::Duration;

use clock::Clock;
use contracts::auth::v1::FinishOidcRequest;
use contracts::events::v1::{UserPasswordResetRequested, UserRegistered};
use futures::future::join_all;
use problem::Problem;
use serde_json::{Value, json};
use test_support::fixed_clock;
use typed_id::UserId;

use self::provider::{CLIENT, Callback, Fault, Key, Kind, Lie, Provider, REDIRECT, SECRET};
use super::hardening::code_of;
use super::school::{ENCRYPTION_KEY, FIRST_PAGE, PASSWORD, School, settings, sign_in};
use crate::storage::users::Changes;
use crate::usecases::finish_oidc::finish;
use crate::usecases::grant::Tokens;
use crate::usecases::identities;
use crate::usecases::login::login;
use crate::usecases::reach::Reach;
use crate::usecases::refresh::refresh;
use crate::usecases::second_factor;
use crate::usecases::start_oidc::start;
use crate::usecases::update_user::update_user;

/// A school with one provider or more, by the names `p0`, `p1` ...
struct Campus {
    school: School,
    providers: Vec<Provider>,
}

impl Campus {
    async fn open(kinds: &[Kind], extra: Value) -> Self {
        let clock: Clock = fixed_clock();
        let mut providers = Vec::new();
        let mut table = serde_json::Map::new();
        for (number, kind) in kinds.iter().enumerate() {
            let provider = Provider::start(&clock, *kind).await;
            let mut entry = json!({
                "issuer": provider.issuer(), "client_id": CLIENT, "client_secret": SECRET, "redirect_uris": [REDIRECT],
            });
            for (name, value) in extra.as_object().unwrap() {
                entry[name] = value.clone();
            }
            table.insert(format!("p{number}"), entry);
            providers.push(provider);
        }
        let mut settings = settings(ENCRYPTION_KEY);
        settings.oidc = serde_json::from_value(Value::Object(table)).unwrap();
        let school = School::open_with(clock, settings).await;
        Self { school, providers }
    }

    async fn one() -> Self {
        Self::open(&[Kind::Rsa], json!({})).await
    }

    fn tell(&self, change: impl FnOnce(&mut provider::Inner)) {
        self.providers[0].tell(change);
    }

    /// As far as the browser's way back: what it brings, and what the client kept.
    async fn visit(&self, name: &str) -> (Callback, String) {
        let started = start(&self.school.auth, name, None).await.unwrap();
        (
            Provider::visit(&started.authorization_url).await,
            started.verifier,
        )
    }

    async fn finish(&self, name: &str, back: &Callback, verifier: &str) -> Result<Tokens, Problem> {
        finish(&self.school.auth, request(name, back, verifier)).await
    }

    async fn sign_in(&self) -> Result<Tokens, Problem> {
        let (back, verifier) = self.visit("p0").await;
        self.finish("p0", &back, &verifier).await
    }
}

fn request(name: &str, back: &Callback, verifier: &str) -> FinishOidcRequest {
    FinishOidcRequest {
        provider: name.into(),
        code: Some(back.code.clone()),
        state: back.state.clone(),
        iss: back.iss.clone(),
        verifier: verifier.into(),
        totp_code: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_the_same_the_next_time_whatever_key_signs() {
    for kind in [Kind::Rsa, Kind::Ec, Kind::Ed] {
        let campus = Campus::open(&[kind], json!({})).await;
        let first = campus.sign_in().await.unwrap();
        assert_eq!(
            (
                first.user.email.as_str(),
                first.user.role.as_str(),
                first.user.full_name.as_str()
            ),
            ("ada@school.test", "student", "Ada Yılmaz"),
            "{kind:?}"
        );
        assert!(first.user.email_verified_at.is_some());
        // Another address at the provider is no other person.
        campus.tell(|p| p.claims["email"] = json!("ada.yilmaz@school.test"));
        let second = campus.sign_in().await.unwrap();
        assert_eq!(second.user.id, first.user.id);
        let school = &campus.school;
        assert_eq!(school.events::<UserRegistered>().await.len(), 1);
        let renewed = refresh(&school.auth, second.refresh_token).await.unwrap();
        let caller = school.caller(&renewed).await;
        let linked = identities::list(&school.auth, &caller, FIRST_PAGE)
            .await
            .unwrap()
            .items;
        assert_eq!((linked.len(), linked[0].email.as_str()), (1, "ada@school.test"));
        assert_eq!(
            school.count("SELECT count(*) FROM auth.oidc_sign_ins").await,
            0,
            "nothing stays of a sign-in that is over"
        );
        identities::unlink(&school.auth, &caller, linked[0].id)
            .await
            .unwrap();
        let again = identities::unlink(&school.auth, &caller, linked[0].id).await;
        assert_eq!(code_of(again), Some("not_found"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_forged_id_token_is_refused() {
    let campus = Campus::one().await;
    let lies: &[(&str, Lie)] = &[
        ("another nonce", Lie::Claims(|c| c["nonce"] = json!("another"))),
        ("no nonce", Lie::Claims(|c| remove(c, "nonce"))),
        (
            "another audience",
            Lie::Claims(|c| c["aud"] = json!("another-client")),
        ),
        (
            "an audience beside us",
            Lie::Claims(|c| c["aud"] = json!([CLIENT, "another-client"])),
        ),
        ("no audience", Lie::Claims(|c| remove(c, "aud"))),
        (
            "another party",
            Lie::Claims(|c| c["azp"] = json!("another-client")),
        ),
        (
            "another issuer",
            Lie::Claims(|c| c["iss"] = json!("https://evil.test")),
        ),
        ("no issuer", Lie::Claims(|c| remove(c, "iss"))),
        (
            "the issuer with a slash",
            Lie::Claims(|c| c["iss"] = json!(format!("{}/", c["iss"].as_str().unwrap()))),
        ),
        (
            "expired",
            Lie::Claims(|c| c["exp"] = json!(c["iat"].as_i64().unwrap() - 61)),
        ),
        (
            "an expiry as text",
            Lie::Claims(|c| c["exp"] = json!(c["exp"].to_string())),
        ),
        ("no expiry", Lie::Claims(|c| remove(c, "exp"))),
        (
            "of the future",
            Lie::Claims(|c| c["iat"] = json!(c["iat"].as_i64().unwrap() + 120)),
        ),
        (
            "of an hour ago",
            Lie::Claims(|c| c["iat"] = json!(c["iat"].as_i64().unwrap() - 3_600)),
        ),
        (
            "not valid yet",
            Lie::Claims(|c| c["nbf"] = json!(c["iat"].as_i64().unwrap() + 120)),
        ),
        ("no subject", Lie::Claims(|c| remove(c, "sub"))),
        ("an empty subject", Lie::Claims(|c| c["sub"] = json!(""))),
        ("not signed", Lie::AlgNone),
        ("HS256 with the public key", Lie::Hmac),
        ("PS256", Lie::Header(|h| h["alg"] = json!("PS256"))),
        ("RS512", Lie::Header(|h| h["alg"] = json!("RS512"))),
        ("ES256 by an RSA key", Lie::Header(|h| h["alg"] = json!("ES256"))),
        ("an unknown key", Lie::Header(|h| h["kid"] = json!("nobody's"))),
        (
            "a shared secret by its name",
            Lie::Header(|h| h["kid"] = json!("oct")),
        ),
        ("demands", Lie::Header(|h| h["crit"] = json!(["exp"]))),
        ("a foreign key", Lie::ForeignKey),
        ("a key that it brings along", Lie::OwnKey),
        ("tampered", Lie::Tampered),
    ];
    for (name, lie) in lies {
        campus.tell(|p| p.lie = lie.clone());
        assert_eq!(
            code_of(campus.sign_in().await),
            Some("provider_refused"),
            "{name}"
        );
    }
    let school = &campus.school;
    assert_eq!(school.count("SELECT count(*) FROM auth.users").await, 0);
    let failed = "SELECT count(*) FROM auth.audit_log WHERE action = 'sign_in.failed'";
    assert_eq!(school.count(failed).await, lies.len() as i64);
    campus.tell(|p| p.lie = Lie::None);
    campus.sign_in().await.unwrap();
}

fn remove(claims: &mut Value, name: &str) {
    claims.as_object_mut().unwrap().remove(name);
}

#[tokio::test(flavor = "multi_thread")]
async fn states_and_codes_count_once_in_the_browser_that_began() {
    let campus = Campus::open(&[Kind::Rsa, Kind::Ec], json!({})).await;
    let invalid = Some("invalid_sign_in_state");
    let (back, verifier) = campus.visit("p0").await;
    // Somebody else's browser: a state that was seen is of no use, and stays its owner's.
    let (_, foreign) = campus.visit("p0").await;
    for verifier in [foreign.as_str(), "", "ov_nonsense"] {
        assert_eq!(code_of(campus.finish("p0", &back, verifier).await), invalid);
    }
    // Mix-up: what was begun with one provider is not finished with another.
    assert_eq!(code_of(campus.finish("p1", &back, &verifier).await), invalid);
    let nowhere = campus.finish("p7", &back, &verifier).await;
    assert_eq!(code_of(nowhere), Some("not_found"));
    let tabs = (0..8).map(|_| campus.finish("p0", &back, &verifier));
    let outcomes = join_all(tabs).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(
        code_of(campus.finish("p0", &back, &verifier).await),
        invalid,
        "replayed"
    );
    // The code again, in a sign-in of its own: the provider has given it away, and its PKCE verifier is another.
    let (other, verifier) = campus.visit("p0").await;
    let injected = Callback {
        code: back.code,
        ..other.clone()
    };
    assert_eq!(
        code_of(campus.finish("p0", &injected, &verifier).await),
        Some("provider_refused")
    );
    assert_eq!(
        code_of(campus.finish("p0", &other, &verifier).await),
        invalid,
        "no second try"
    );
    // A fresh code of another's sign-in.
    let (stolen, _) = campus.visit("p0").await;
    let (own, verifier) = campus.visit("p0").await;
    let injected = Callback {
        code: stolen.code,
        ..own
    };
    assert_eq!(
        code_of(campus.finish("p0", &injected, &verifier).await),
        Some("provider_refused")
    );
    let (late, verifier) = campus.visit("p0").await;
    campus.school.clock.advance(Duration::from_mins(10));
    assert_eq!(
        code_of(campus.finish("p0", &late, &verifier).await),
        invalid,
        "late"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_names_its_issuer() {
    let campus = Campus::open(&[Kind::Ec, Kind::Ec], json!({})).await;
    let foreign = campus.providers[1].issuer();
    for iss in [Some(foreign), Some(String::new()), None] {
        let (back, verifier) = campus.visit("p0").await;
        let mixed_up = Callback { iss, ..back };
        let refused = campus.finish("p0", &mixed_up, &verifier).await;
        assert_eq!(code_of(refused), Some("provider_refused"), "{mixed_up:?}");
    }
    assert_eq!(
        campus.providers[0].inner.lock().token_requests,
        0,
        "no code goes astray"
    );
    // One that never promised to say it need not.
    campus.providers[1].tell(|p| p.says_iss = false);
    let (back, verifier) = campus.visit("p1").await;
    assert_eq!(back.iss, None);
    campus.finish("p1", &back, &verifier).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_linked_where_both_sides_have_proven_the_address() {
    let campus = Campus::one().await;
    let school = &campus.school;
    for unproven in [json!(false), json!("false"), json!("yes"), Value::Null] {
        campus.tell(|p| p.claims["email_verified"] = unproven.clone());
        assert_eq!(
            code_of(campus.sign_in().await),
            Some("provider_email_unverified"),
            "{unproven}"
        );
    }
    campus.tell(|p| p.claims["email_verified"] = json!("true"));
    // Somebody took the address before its owner came, and waits with a password for them to move in.
    school.register("ada@school.test").await;
    assert_eq!(code_of(campus.sign_in().await), Some("account_not_linked"));
    assert_eq!(school.count("SELECT count(*) FROM auth.identities").await, 0);
    // A proven account is linked, and both ways lead to it.
    let can = school.user("can@school.test", "teacher").await;
    campus.tell(|p| p.claims = person("can-at-university", "CAN@school.test"));
    let tokens = campus.sign_in().await.unwrap();
    assert_eq!((tokens.user.id, tokens.user.role.as_str()), (can.id, "teacher"));
    login(&school.auth, sign_in("can@school.test", PASSWORD))
        .await
        .unwrap();
    // Another mailbox with the same key is somebody else's.
    school.user("admin@school.test", "admin").await;
    campus.tell(|p| p.claims = person("mallory", "admın@school.test"));
    assert_ne!(code_of(campus.sign_in().await), None);
    let linked = school.count("SELECT count(*) FROM auth.identities").await;
    assert_eq!(linked, 1);
    // The same subject at the provider stays who it was, whatever address it claims by now.
    campus.tell(|p| p.claims = person("can-at-university", "admin@school.test"));
    assert_eq!(campus.sign_in().await.unwrap().user.id, can.id);
}

fn person(sub: &str, email: &str) -> Value {
    json!({"sub": sub, "email": email, "email_verified": true})
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_kept_out_stays_out_and_factors_still_count() {
    let campus = Campus::one().await;
    let school = &campus.school;
    let first = campus.sign_in().await.unwrap();
    let caller = school.caller(&first).await;
    let (secret, _) = second_factor::enroll(&school.auth, &caller).await.unwrap();
    let app = School::app(&secret);
    let recovery = second_factor::confirm(&school.auth, &caller, &school.code(&app))
        .await
        .unwrap();
    school.clock.advance(Duration::from_secs(31));
    let (back, verifier) = campus.visit("p0").await;
    assert_eq!(
        code_of(campus.finish("p0", &back, &verifier).await),
        Some("totp_required")
    );
    // The provider is not asked again; nor does its code count again.
    let asked = campus.providers[0].inner.lock().token_requests;
    let with = |code: &str| FinishOidcRequest {
        code: None,
        totp_code: Some(code.to_owned()),
        ..request("p0", &back, &verifier)
    };
    let again = finish(&school.auth, request("p0", &back, &verifier)).await;
    assert_eq!(code_of(again), Some("invalid_sign_in_state"));
    let without = FinishOidcRequest {
        totp_code: None,
        ..with("")
    };
    assert_eq!(
        code_of(finish(&school.auth, without).await),
        Some("totp_required")
    );
    let foreign = FinishOidcRequest {
        verifier: "ov_another".into(),
        ..with(&recovery[0])
    };
    assert_eq!(
        code_of(finish(&school.auth, foreign).await),
        Some("invalid_sign_in_state")
    );
    assert_eq!(
        code_of(finish(&school.auth, with("000000")).await),
        Some("wrong_totp_code")
    );
    let code = school.code(&app);
    let racing = join_all((0..4).map(|_| finish(&school.auth, with(&code)))).await;
    assert_eq!(racing.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let over = finish(&school.auth, with(&recovery[0])).await;
    assert_eq!(code_of(over), Some("invalid_sign_in_state"));
    assert_eq!(campus.providers[0].inner.lock().token_requests, asked);
    // Guesses are counted over all sign-ins together.
    let mut answers = Vec::new();
    let (back, verifier) = campus.visit("p0").await;
    for _ in 0..12 {
        let guess = FinishOidcRequest {
            code: answers.is_empty().then(|| back.code.clone()),
            totp_code: Some("000000".into()),
            ..request("p0", &back, &verifier)
        };
        answers.push(code_of(finish(&school.auth, guess).await));
    }
    assert_eq!(answers.last(), Some(&Some("rate_limited")), "{answers:?}");
    deactivate(school, first.user.id).await;
    assert_eq!(code_of(campus.sign_in().await), Some("invalid_credentials"));
    // Nor is a deactivated account linked.
    let can = school.user("can@school.test", "student").await;
    deactivate(school, can.id).await;
    campus.tell(|p| p.claims = person("can-at-university", "can@school.test"));
    assert_eq!(code_of(campus.sign_in().await), Some("invalid_credentials"));
}

async fn deactivate(school: &School, id: UserId) {
    let inactive = Changes {
        is_active: Some(false),
        ..Changes::default()
    };
    update_user(&school.auth, &Reach::SYSTEM, id, inactive)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_address_is_corrected_is_not_invited_to_the_account_they_use() {
    let campus = Campus::one().await;
    let ada = campus.sign_in().await.unwrap().user;
    let school = &campus.school;
    for (number, address) in ["ada.y@school.test", "ada.yilmaz@school.test"]
        .into_iter()
        .enumerate()
    {
        school.clock.advance(Duration::from_secs(1));
        let corrected = Changes {
            email: Some(address.into()),
            ..Changes::default()
        };
        update_user(&school.auth, &Reach::SYSTEM, ada.id, corrected)
            .await
            .unwrap();
        let mails = school.events::<UserPasswordResetRequested>().await;
        assert_eq!(mails.len(), number + 1);
        let mail = mails.last().unwrap();
        assert_eq!((mail.email.as_str(), mail.is_invitation), (address, None));
        let in_a_week = contracts::timestamp(school.clock.now() + time::Duration::days(7));
        assert_eq!(mail.expires_at, Some(in_a_week));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_and_are_not_asked_for_by_every_forgery() {
    let campus = Campus::one().await;
    campus.sign_in().await.unwrap();
    campus.tell(|p| p.keys = vec![Key::new("second", Kind::Ec)]);
    assert_eq!(
        code_of(campus.sign_in().await),
        Some("provider_refused"),
        "asked a moment ago"
    );
    campus.school.clock.advance(Duration::from_secs(10));
    campus.sign_in().await.unwrap();
    // A key without a name does while it is the only one of its kind.
    campus.tell(|p| p.lie = Lie::Header(|header| remove(header, "kid")));
    campus.sign_in().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_is_left_alone_and_never_followed() {
    let campus = Campus::one().await;
    for (fault, expected) in [
        (Fault::Redirect, "provider_refused"),
        (Fault::Garbage, "provider_refused"),
        (Fault::Huge, "unavailable"),
        (Fault::Down, "unavailable"),
    ] {
        campus.tell(|p| p.fault = fault);
        assert_eq!(code_of(campus.sign_in().await), Some(expected));
    }
    assert_eq!(campus.providers[0].inner.lock().followed, 0);
    let waiting = [
        campus.visit("p0").await,
        campus.visit("p0").await,
        campus.visit("p0").await,
    ];
    for (back, verifier) in &waiting {
        let away = campus.finish("p0", back, verifier).await;
        assert_eq!(code_of(away), Some("unavailable"));
    }
    // After three in a row nobody asks.
    let asked = campus.providers[0].inner.lock().token_requests;
    assert!(asked < 4 + waiting.len(), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_maps_to_a_role_and_never_to_one_that_manages_accounts() {
    let extra = json!({
        "role_claim": "groups", "allowed_domains": ["school.test"],
        "roles": {"staff": "teacher", "office": "registrar", "ghosts": "nobody"},
    });
    let campus = Campus::open(&[Kind::Ed], extra).await;
    let registrar = crate::storage::roles::Role {
        name: "registrar".into(),
        permissions: vec!["users:read".into(), "users:write".into()],
        require_totp: false,
        department_scoped: false,
    };
    let auth = &campus.school.auth;
    crate::usecases::put_role::put_role(auth, &Reach::SYSTEM, registrar)
        .await
        .unwrap();
    for (number, (groups, role)) in [
        (json!(["alumni", "staff"]), "teacher"),
        (json!("staff"), "teacher"),
        (json!(["office"]), "student"),
        (json!(["ghosts"]), "student"),
        (json!(["admin", "staff2"]), "student"),
        (json!({"staff": true}), "student"),
    ]
    .into_iter()
    .enumerate()
    {
        campus.tell(|p| {
            p.claims = person(&format!("person-{number}"), &format!("p{number}@school.test"));
            p.claims["groups"] = groups.clone();
        });
        assert_eq!(campus.sign_in().await.unwrap().user.role, role, "{groups}");
    }
    // Nor does it vouch for an address of another domain.
    campus.tell(|p| p.claims = person("stranger", "p@school.test.evil.test"));
    assert_eq!(code_of(campus.sign_in().await), Some("provider_email_unverified"));
    let elsewhere = start(auth, "p0", Some("https://school.test/signed-in/../evil")).await;
    assert_eq!(code_of(elsewhere.map(|_| ())), Some("validation_failed"));
}
