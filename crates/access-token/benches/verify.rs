//! A token that was seen before, and one that was not.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has failed")]

use std::sync::Arc;

use access_token::{BoxError, Issuer, Jwk, KeySource, Revocations, SigningKey, UserToken, Verifier};
use async_trait::async_trait;
use clock::Clock;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use time::{Duration, OffsetDateTime};
use typed_id::{SessionId, TokenId, UserId};

struct Source(Jwk);

#[async_trait]
impl KeySource for Source {
    async fn fetch(&self) -> Result<Vec<Jwk>, BoxError> {
        Ok(vec![self.0.clone()])
    }
}

fn token(issuer: &Issuer, now: OffsetDateTime) -> String {
    let token = UserToken {
        user_id: UserId::new(now),
        session_id: SessionId::new(now),
        impersonator: None,
        token_id: TokenId::new(now),
        roles: &["student".to_owned()],
        permissions: &["enrollments:enroll".to_owned(), "exams:sit".to_owned()],
        now,
        ttl: Duration::minutes(15),
    };
    issuer.issue_user(&token).unwrap()
}

fn verify(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let clock = Clock::fixed(OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap());
    let issuer = Issuer::new(SigningKey::generate("k1").unwrap(), "sc", "sc-api");
    let source = Arc::new(Source(issuer.key().public_jwk()));
    let verifier = Verifier::new(source, Revocations::default(), "sc", "sc-api", clock.clone());

    let mut group = criterion.benchmark_group("verify a token");
    let known = token(&issuer, clock.now());
    runtime.block_on(verifier.verify(&known)).unwrap();
    group.bench_function("seen before", |bencher| {
        bencher.iter(|| runtime.block_on(verifier.verify(&known)).unwrap());
    });
    group.bench_function("seen for the first time", |bencher| {
        bencher.iter_batched(
            || token(&issuer, clock.now()),
            |token| runtime.block_on(verifier.verify(&token)).unwrap(),
            BatchSize::SmallInput,
        );
    });
    group.finish();
    criterion.bench_function("issue a token", |bencher| {
        bencher.iter(|| token(&issuer, clock.now()));
    });
}

criterion_group!(benches, verify);
criterion_main!(benches);
