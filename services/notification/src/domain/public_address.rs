//! Which addresses are the public internet's, so that nobody reaches the inside of the house through us.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Whether an address is a host of the public internet. Networks of one's own, loopback, link-local (where clouds keep their metadata),
/// shared, documentation, benchmark, multicast and reserved ones are not, and neither are IPv6 addresses that stand for an IPv4 one.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

// IANA IPv4 Special-Purpose Address Registry, and multicast.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 31, 196)
            | (192, 52, 193)
            | (192, 88, 99)
            | (192, 168, _)
            | (192, 175, 48)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

// Global unicast is 2000::/3 alone: loopback, mapped (::ffff:0:0/96), translated (64:ff9b::/96), unique local, link-local and multicast
// lie outside of it. Of it, IANA's IPv6 Special-Purpose Address Registry takes away some; 6to4 and Teredo embed IPv4 addresses.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_global_unicast = a & 0xe000 == 0x2000;
    let is_special = (a == 0x2001 && (b < 0x0200 || b == 0x0db8))
        || a == 0x2002
        || (a == 0x2620 && b == 0x004f)
        || (a == 0x3fff && b < 0x1000);
    is_global_unicast && !is_special
}

/// Why an address of a webhook is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("has to be a URL")]
    Unreadable,
    #[error("has to be https")]
    NotHttps,
    #[error("must not hold a user name or password")]
    Credentials,
    #[error("must not have a fragment")]
    Fragment,
    #[error("has to name a host of the public internet")]
    NotPublic,
}

impl Refused {
    pub fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "string.uri",
            Self::NotHttps => "webhook.https",
            Self::Credentials => "webhook.credentials",
            Self::Fragment => "webhook.fragment",
            Self::NotPublic => "webhook.public",
        }
    }
}

/// The URL of a webhook, as far as its text tells; where its name leads is seen when it is used. `is_open`: in development, http and
/// private hosts are welcome too.
pub fn webhook_url(text: &str, is_open: bool) -> Result<Url, Refused> {
    let url = Url::parse(text.trim()).map_err(|_| Refused::Unreadable)?;
    match url.scheme() {
        "https" => {}
        "http" if is_open => {}
        _ => return Err(Refused::NotHttps),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::Credentials);
    }
    if url.fragment().is_some() {
        return Err(Refused::Fragment);
    }
    let is_public = match url.host() {
        Some(Host::Ipv4(address)) => is_public_v4(address),
        Some(Host::Ipv6(address)) => is_public_v6(address),
        Some(Host::Domain(name)) => is_public_name(name),
        None => return Err(Refused::Unreadable),
    };
    if is_public || is_open {
        Ok(url)
    } else {
        Err(Refused::NotPublic)
    }
}

/// Names that lead nowhere outside (RFC 6761, RFC 6762, RFC 9476, ICANN's `internal`).
fn is_public_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let last = name.rsplit('.').next().unwrap_or_default();
    name.contains('.')
        && !matches!(
            last,
            "localhost"
                | "local"
                | "internal"
                | "invalid"
                | "test"
                | "onion"
                | "alt"
                | "arpa"
                | "home"
                | "lan"
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_inside_is_not_public_however_it_is_written() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "193.140.1.1",
            "223.255.255.255",
            "2001:4860:4860::8888",
            "2a00:1450:4001::1",
            "2606:4700:4700::1111",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn urls_of_the_inside_are_refused_however_they_are_written() {
        for url in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://169.254.169.254/latest/meta-data",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
            "https://metadata.google.internal/",
            "https://printer.local/",
            "https://redis/",
            "https://１２７.0.0.1/",
            "https://10.0.0.1:8443/x",
        ] {
            assert_eq!(webhook_url(url, false), Err(Refused::NotPublic), "{url}");
            assert!(webhook_url(url, true).is_ok(), "{url}");
        }
        for (url, refused) in [
            ("http://school.example.edu/", Refused::NotHttps),
            ("ftp://school.example.edu/", Refused::NotHttps),
            ("file:///etc/passwd", Refused::NotHttps),
            ("gopher://school.example.edu/", Refused::NotHttps),
            ("https://a:b@school.example.edu/", Refused::Credentials),
            ("https://a@school.example.edu/", Refused::Credentials),
            ("https://school.example.edu/#x", Refused::Fragment),
            ("school.example.edu", Refused::Unreadable),
            ("https://", Refused::Unreadable),
            ("", Refused::Unreadable),
        ] {
            assert_eq!(webhook_url(url, false), Err(refused), "{url}");
        }
        for url in [
            "https://school.example.edu/hooks?a=b",
            "https://okul.edu.tr:8443/",
            "https://8.8.8.8/x",
        ] {
            assert!(webhook_url(url, false).is_ok(), "{url}");
        }
    }

    proptest! {
        /// The standard library's own judgements, as far as they are stable.
        #[test]
        fn nothing_private_is_public(bits in any::<u32>(), wide in any::<u128>()) {
            let v4 = Ipv4Addr::from(bits);
            if v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast()
                || v4.is_documentation() || v4.is_unspecified() {
                prop_assert!(!is_public(v4.into()));
            }
            prop_assert!(!is_public(v4.to_ipv6_mapped().into()));
            let v6 = Ipv6Addr::from(wide);
            if v6.is_loopback() || v6.is_multicast() || v6.is_unspecified() || v6.is_unique_local()
                || v6.is_unicast_link_local() || v6.to_ipv4().is_some() {
                prop_assert!(!is_public(v6.into()));
            }
        }

        #[test]
        fn no_text_of_an_admin_breaks_the_reader(text in "\\PC{0,60}") {
            let _ = webhook_url(&text, false);
            let _ = webhook_url(&format!("https://{text}"), false);
        }
    }
}
