//! Names to addresses, public ones alone. The client connects to exactly what this answers, and asks again for each connection: there is
//! no second look-up that could answer something else (DNS rebinding).

use std::net::SocketAddr;

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::domain::public_address::is_public;

pub type Lookup = fn(String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>>;

#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("the name cannot be resolved")]
    Unknown(#[from] std::io::Error),
    #[error("the name leads to an address that is not of the public internet")]
    NotPublic,
    #[error("the name has no address")]
    Nothing,
}

/// Refuses a name when any of its addresses is not public.
#[derive(Clone, Copy)]
pub struct PublicNames {
    lookup: Lookup,
}

impl PublicNames {
    pub fn new() -> Self {
        Self { lookup: of_system }
    }

    async fn addresses(self, name: String) -> Result<Vec<SocketAddr>, ResolveError> {
        let found = (self.lookup)(name).await?;
        if found.is_empty() {
            return Err(ResolveError::Nothing);
        }
        if found.iter().all(|address| is_public(address.ip())) {
            Ok(found)
        } else {
            Err(ResolveError::NotPublic)
        }
    }
}

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, name) = (*self, name.as_str().to_owned());
        Box::pin(async move {
            let found = resolver.addresses(name).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn of_system(name: String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
    // Port 0: the client puts the one of the URL in.
    Box::pin(async move { Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(lookup: Lookup) -> PublicNames {
        PublicNames { lookup }
    }

    fn answer(texts: &'static [&'static str]) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(texts.iter().map(|text| text.parse().unwrap()).collect()) })
    }

    #[tokio::test]
    async fn a_name_with_one_address_of_the_inside_is_refused_as_a_whole() {
        let mixed = resolver(|_| answer(&["93.184.216.34:0", "10.0.0.1:0"]));
        assert!(matches!(
            mixed.addresses("a.example".into()).await,
            Err(ResolveError::NotPublic)
        ));
        let mapped = resolver(|_| answer(&["[::ffff:169.254.169.254]:0"]));
        assert!(matches!(
            mapped.addresses("a.example".into()).await,
            Err(ResolveError::NotPublic)
        ));
        let none = resolver(|_| answer(&[]));
        assert!(matches!(
            none.addresses("a.example".into()).await,
            Err(ResolveError::Nothing)
        ));
        let public = resolver(|_| answer(&["93.184.216.34:0", "[2606:4700::1]:0"]));
        assert_eq!(public.addresses("a.example".into()).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn the_client_connects_to_nothing_else() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = reqwest::Client::builder()
            .no_proxy()
            .dns_resolver(resolver(|_| answer(&["127.0.0.1:0"])))
            .build()
            .unwrap();
        let url = format!(
            "http://hooks.example.edu:{}/",
            listener.local_addr().unwrap().port()
        );
        let fault = client.get(url).send().await.unwrap_err();
        assert!(fault.is_connect(), "{fault:?}");
        assert!(futures::FutureExt::now_or_never(listener.accept()).is_none());
    }

    #[tokio::test]
    async fn what_the_system_knows_as_itself_is_refused() {
        let refused = PublicNames::new().addresses("localhost".into()).await;
        assert!(matches!(refused, Err(ResolveError::NotPublic)));
    }
}
