//! A small identity provider on a port of its own, which can be told to lie.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use aws_lc_rs::{digest, hmac};
use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use clock::Clock;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

pub const CLIENT: &str = "student-coaching";
pub const SECRET: &str = "a secret: of ours";
pub const REDIRECT: &str = "https://school.test/signed-in";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Rsa,
    Ec,
    Ed,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

pub struct Key {
    kid: String,
    pair: Pair,
}

impl Key {
    pub fn new(kid: &str, kind: Kind) -> Self {
        let pair = match kind {
            Kind::Rsa => Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())),
            Kind::Ec => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            Kind::Ed => Pair::Ed(Ed25519KeyPair::generate().unwrap()),
        };
        Self {
            kid: kid.into(),
            pair,
        }
    }

    fn alg(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_) => "ES256",
            Pair::Ed(_) => "EdDSA",
        }
    }

    pub fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.pair {
            Pair::Rsa(pair) => json!({
                "kty": "RSA", "kid": self.kid, "use": "sig",
                "n": text(pair.public_key().modulus().big_endian_without_leading_zero()),
                "e": text(pair.public_key().exponent().big_endian_without_leading_zero()),
            }),
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "x": text(&point[1..33]), "y": text(&point[33..])})
            }
            Pair::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "alg": "EdDSA", "x": text(pair.public_key().as_ref())})
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// How an id token is spoiled.
#[derive(Clone)]
pub enum Lie {
    None,
    Claims(fn(&mut Value)),
    Header(fn(&mut Value)),
    /// Not signed at all.
    AlgNone,
    /// Signed by the public key as a shared secret.
    Hmac,
    /// Signed by a key of nobody's, under the name of one that is known.
    ForeignKey,
    /// Changed after it was signed.
    Tampered,
    /// Signed by a key that the token brings along.
    OwnKey,
}

/// What a request for tokens is answered with, should it not be one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    Down,
    Redirect,
    Huge,
    Garbage,
}

struct Grant {
    nonce: String,
    challenge: String,
    redirect_uri: String,
}

pub struct Inner {
    pub issuer: String,
    pub keys: Vec<Key>,
    pub claims: Value,
    pub lie: Lie,
    pub fault: Fault,
    /// Whether it says its name in its answers (RFC 9207).
    pub says_iss: bool,
    pub token_requests: usize,
    pub followed: usize,
    codes: HashMap<String, Grant>,
    clock: Clock,
}

pub struct Provider {
    pub inner: Arc<Mutex<Inner>>,
    task: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the browser brings back.
#[derive(Debug, Clone)]
pub struct Callback {
    pub code: String,
    pub state: String,
    pub iss: Option<String>,
}

impl Provider {
    pub async fn start(clock: &Clock, kind: Kind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inner = Inner {
            issuer: format!("http://{}", listener.local_addr().unwrap()),
            keys: vec![Key::new("first", kind)],
            claims: json!({"sub": "ada-at-university", "email": "ada@school.test", "email_verified": true, "name": "Ada Yılmaz"}),
            lie: Lie::None,
            fault: Fault::None,
            says_iss: true,
            token_requests: 0,
            followed: 0,
            codes: HashMap::new(),
            clock: clock.clone(),
        };
        let inner = Arc::new(Mutex::new(inner));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/keys", get(keys))
            .route("/elsewhere", post(elsewhere).get(elsewhere))
            .with_state(inner.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { inner, task }
    }

    pub fn issuer(&self) -> String {
        self.inner.lock().issuer.clone()
    }

    pub fn tell(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.inner.lock());
    }

    /// What a browser does with the address that it is sent to, and somebody who signs in there.
    pub async fn visit(url: &str) -> Callback {
        let browser = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let answer = browser.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 302, "{url}");
        let target = Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
        let parameters: HashMap<String, String> = target.query_pairs().into_owned().collect();
        Callback {
            code: parameters["code"].clone(),
            state: parameters["state"].clone(),
            iss: parameters.get("iss").cloned(),
        }
    }
}

type Shared = State<Arc<Mutex<Inner>>>;

async fn discovery(State(inner): Shared) -> Response<Body> {
    let inner = inner.lock();
    let at = &inner.issuer;
    json_answer(&json!({
        "issuer": at,
        "authorization_endpoint": format!("{at}/authorize"),
        "token_endpoint": format!("{at}/token"),
        "jwks_uri": format!("{at}/keys"),
        "code_challenge_methods_supported": ["plain", "S256"],
        "authorization_response_iss_parameter_supported": inner.says_iss,
        "response_types_supported": ["code"],
    }))
}

async fn keys(State(inner): Shared) -> Response<Body> {
    let inner = inner.lock();
    let mut keys: Vec<Value> = inner.keys.iter().map(Key::jwk).collect();
    // What a provider may show beside: a shared secret, another curve, something of tomorrow.
    keys.push(json!({"kty": "oct", "kid": "oct", "k": "c2VjcmV0"}));
    keys.push(json!({"kty": "EC", "crv": "P-521", "kid": "big", "x": "AA", "y": "AA"}));
    keys.push(json!({"kty": 7}));
    json_answer(&json!({ "keys": keys }))
}

async fn authorize(State(inner): Shared, Query(asked): Query<HashMap<String, String>>) -> Response<Body> {
    let mut inner = inner.lock();
    let is_right = asked["response_type"] == "code"
        && asked["client_id"] == CLIENT
        && asked["redirect_uri"] == REDIRECT
        && asked["code_challenge_method"] == "S256"
        && asked["scope"].split(' ').any(|scope| scope == "openid");
    if !is_right {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let code = format!("code-{}", inner.codes.len() + inner.token_requests * 1_000);
    let grant = Grant {
        nonce: asked["nonce"].clone(),
        challenge: asked["code_challenge"].clone(),
        redirect_uri: asked["redirect_uri"].clone(),
    };
    inner.codes.insert(code.clone(), grant);
    let mut target = Url::parse(REDIRECT).unwrap();
    target
        .query_pairs_mut()
        .append_pair("code", &code)
        .append_pair("state", &asked["state"]);
    if inner.says_iss {
        target.query_pairs_mut().append_pair("iss", &inner.issuer);
    }
    redirect(target.as_str())
}

async fn token(State(inner): Shared, headers: HeaderMap, body: String) -> Response<Body> {
    let mut inner = inner.lock();
    inner.token_requests += 1;
    match inner.fault {
        Fault::None => {}
        Fault::Down => return StatusCode::BAD_GATEWAY.into_response(),
        Fault::Redirect => return redirect(&format!("{}/elsewhere", inner.issuer)),
        Fault::Huge => return " ".repeat(4 << 20).into_response(),
        Fault::Garbage => return "<html>".into_response(),
    }
    let form: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect();
    // Encoded as in a form first (RFC 6749, section 2.3.1).
    let pair = format!("{CLIENT}:a+secret%3A+of+ours");
    let authorization = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if authorization != format!("Basic {}", STANDARD.encode(pair)) {
        return (StatusCode::UNAUTHORIZED, r#"{"error":"invalid_client"}"#).into_response();
    }
    // A code counts once.
    let grant = inner.codes.remove(&form["code"]);
    let hash = |text: &str| URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
    let grant = grant.filter(|grant| {
        form["grant_type"] == "authorization_code"
            && form["redirect_uri"] == grant.redirect_uri
            && hash(&form["code_verifier"]) == grant.challenge
    });
    let Some(grant) = grant else {
        return (StatusCode::BAD_REQUEST, r#"{"error":"invalid_grant"}"#).into_response();
    };
    let id_token = mint(&inner, &grant);
    json_answer(
        &json!({"access_token": "of no use", "token_type": "Bearer", "expires_in": 300, "id_token": id_token}),
    )
}

async fn elsewhere(State(inner): Shared) -> StatusCode {
    inner.lock().followed += 1;
    StatusCode::OK
}

fn mint(inner: &Inner, grant: &Grant) -> String {
    let now = inner.clock.now().unix_timestamp();
    let mut claims = inner.claims.clone();
    let base =
        json!({"iss": inner.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": grant.nonce});
    for (name, value) in base.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let key = inner.keys.last().unwrap();
    let mut header = json!({"typ": "JWT", "alg": key.alg(), "kid": key.kid});
    // Made only where it is of use, as it takes a while.
    let foreign = matches!(inner.lie, Lie::ForeignKey | Lie::OwnKey).then(|| Key::new(&key.kid, Kind::Rsa));
    match inner.lie {
        Lie::Claims(change) => change(&mut claims),
        Lie::Header(change) => change(&mut header),
        Lie::AlgNone => header["alg"] = json!("none"),
        Lie::Hmac => header["alg"] = json!("HS256"),
        _ => {}
    }
    if let (Lie::OwnKey, Some(foreign)) = (&inner.lie, &foreign) {
        header["jwk"] = foreign.jwk();
    }
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let signature = match inner.lie {
        Lie::AlgNone => Vec::new(),
        Lie::Hmac => {
            let public = key.jwk()["n"].as_str().unwrap().to_owned();
            let secret = URL_SAFE_NO_PAD.decode(public).unwrap();
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes())
                .as_ref()
                .to_vec()
        }
        _ => foreign.as_ref().unwrap_or(key).sign(signed.as_bytes()),
    };
    let signature = URL_SAFE_NO_PAD.encode(signature);
    if matches!(inner.lie, Lie::Tampered) {
        claims["sub"] = json!("somebody-else");
        return format!("{}.{}.{signature}", encode(&header), encode(&claims));
    }
    format!("{signed}.{signature}")
}

fn json_answer(value: &Value) -> Response<Body> {
    ([("content-type", "application/json")], value.to_string()).into_response()
}

fn redirect(to: &str) -> Response<Body> {
    (StatusCode::FOUND, [("location", to)]).into_response()
}
