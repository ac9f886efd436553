//! Layered configuration: embedded defaults < file < environment. Every mistake is told, at once.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::Path;

use config::{Config, File, FileFormat, Map, Value, ValueKind};
use serde::de::DeserializeOwned;

use crate::settings::{Check, RuntimeSettings};

const RUNTIME_DEFAULTS: &str = include_str!("../config.default.toml");
/// Names that are known under another name too.
const ALIASES: &[(&str, &str)] = &[
    ("RATELIMIT_ENABLED", "ratelimit.enabled"),
    ("LOG_LEVEL", "log.level"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "trace.endpoint"),
    ("OTEL_TRACES_SAMPLER_ARG", "trace.ratio"),
];
/// Environment variables with our prefix that are no settings.
const NO_SETTINGS: &[&str] = &["SC_CONFIG", "SC_SHARED_DATA"];

/// What is wrong with a configuration.
#[derive(Debug, Default)]
pub struct Faults {
    found: Vec<(String, String)>,
    warnings: Vec<(String, String)>,
}

impl Faults {
    pub fn add(&mut self, key: &str, what: impl Into<String>) {
        self.found.push((key.to_owned(), what.into()));
    }

    /// Legal but risky: said at start.
    pub fn warn(&mut self, key: &str, what: impl Into<String>) {
        self.warnings.push((key.to_owned(), what.into()));
    }

    /// The warnings, when there are no faults.
    fn into_result(self) -> Result<Vec<(String, String)>, ConfigurationError> {
        if self.found.is_empty() {
            Ok(self.warnings)
        } else {
            Err(ConfigurationError { faults: self.found })
        }
    }
}

/// Every mistake in a configuration.
#[derive(Debug)]
pub struct ConfigurationError {
    faults: Vec<(String, String)>,
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} fault(s):", self.faults.len())?;
        for (key, what) in &self.faults {
            write!(f, "\n  {key}: {what}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigurationError {}

/// A configuration that was read and found good.
pub struct Loaded<S> {
    pub runtime: RuntimeSettings,
    pub app: S,
    /// What is legal but risky: the key and why.
    pub warnings: Vec<(String, String)>,
    merged: Config,
}

/// Reads the layers. `environment` is given, so that tests need not touch the process's.
pub fn load<S: DeserializeOwned + Check>(
    defaults: &'static str,
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded<S>, ConfigurationError> {
    let mut faults = Faults::default();
    let base = Config::builder()
        .add_source(File::from_str(RUNTIME_DEFAULTS, FileFormat::Toml))
        .add_source(File::from_str(defaults, FileFormat::Toml));
    let known = match base.clone().build() {
        Ok(known) => known,
        Err(fault) => return Err(single("defaults", fault)),
    };
    let mut builder = base;
    if let Some(path) = file {
        builder = builder.add_source(File::from(path).format(FileFormat::Toml));
    }
    for (key, value) in settings_of(environment, &known, &mut faults) {
        builder = match builder.clone().set_override(&key, value) {
            Ok(builder) => builder,
            Err(fault) => {
                faults.add(&key, fault.to_string());
                builder
            }
        };
    }
    let merged = builder.build().map_err(|fault| single("file", fault))?;
    let runtime = read::<RuntimeSettings>(&merged, &mut faults);
    let app = read::<S>(&merged, &mut faults);
    if let Some(settings) = &runtime {
        settings.check(&mut faults);
    }
    if let Some(settings) = &app {
        settings.check(&mut faults);
    }
    let warnings = faults.into_result()?;
    match (runtime, app) {
        (Some(runtime), Some(app)) => Ok(Loaded {
            runtime,
            app,
            warnings,
            merged,
        }),
        _ => Err(ConfigurationError {
            faults: vec![("configuration".into(), "cannot be read".into())],
        }),
    }
}

fn single(key: &str, fault: impl fmt::Display) -> ConfigurationError {
    ConfigurationError {
        faults: vec![(key.to_owned(), fault.to_string())],
    }
}

fn read<S: DeserializeOwned>(merged: &Config, faults: &mut Faults) -> Option<S> {
    match merged.clone().try_deserialize::<S>() {
        Ok(settings) => Some(settings),
        Err(fault) => {
            let text = fault.to_string();
            // Both halves read the same tree: a fault in what they share is told once.
            if !faults.found.iter().any(|(_, known)| *known == text) {
                faults.add("configuration", text);
            }
            None
        }
    }
}

/// The settings in the environment, checked against the defaults: unknown keys and wrong types are faults.
fn settings_of(
    environment: impl IntoIterator<Item = (String, String)>,
    known: &Config,
    faults: &mut Faults,
) -> BTreeMap<String, Value> {
    let mut settings = BTreeMap::new();
    for (name, text) in environment {
        if NO_SETTINGS.contains(&name.as_str()) {
            continue;
        }
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        let (key, text) = if let Some((_, key)) = alias {
            if known.get::<Value>(key).is_err() {
                continue;
            }
            ((*key).to_owned(), text)
        } else if let Some(rest) = name.strip_prefix("SC_") {
            let key = rest.to_ascii_lowercase().replace("__", ".");
            match key
                .strip_suffix("_file")
                .filter(|_| known.get::<Value>(&key).is_err())
            {
                Some(key) => match std::fs::read_to_string(&text) {
                    Ok(content) => (key.to_owned(), content.trim().to_owned()),
                    Err(fault) => {
                        faults.add(&name, format!("{text} cannot be read: {fault}"));
                        continue;
                    }
                },
                None => (key, text),
            }
        } else {
            continue;
        };
        if !is_known(known, &key) {
            faults.add(&name, "there is no such setting");
            continue;
        }
        match typed(known.get::<Value>(&key).ok(), text) {
            Ok(value) => _ = settings.insert(key, value),
            Err(expected) => faults.add(&name, format!("has to be {expected}")),
        }
    }
    settings
}

/// Whether the defaults have the key, or it is a new entry, or in one, of a table that is empty there and thus open.
fn is_known(known: &Config, key: &str) -> bool {
    if known.get::<Value>(key).is_ok() {
        return true;
    }
    let mut above = key;
    while let Some((parent, _)) = above.rsplit_once('.') {
        if let Ok(table) = known.get::<Map<String, Value>>(parent) {
            return table.is_empty();
        }
        above = parent;
    }
    false
}

/// The text as the type that the default has.
fn typed(default: Option<Value>, text: String) -> Result<Value, &'static str> {
    Ok(match default.map(|value| value.kind) {
        Some(ValueKind::Boolean(_)) => match text.as_str() {
            "true" | "1" | "yes" | "on" => Value::from(true),
            "false" | "0" | "no" | "off" => Value::from(false),
            _ => return Err("true or false"),
        },
        Some(ValueKind::I64(_) | ValueKind::U64(_)) => {
            Value::from(text.parse::<i64>().map_err(|_| "a whole number")?)
        }
        Some(ValueKind::Float(_)) => Value::from(text.parse::<f64>().map_err(|_| "a number")?),
        Some(ValueKind::Array(_)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::from(items.map(str::to_owned).collect::<Vec<String>>())
        }
        Some(ValueKind::Table(_)) => return Err("set one of its keys"),
        _ => Value::from(text),
    })
}

impl<S> Loaded<S> {
    /// The configuration in force as TOML; secrets and what is in URLs before the host are masked.
    pub fn print(&self) -> String {
        let mut out = String::new();
        if let Ok(tree) = self.merged.clone().try_deserialize::<toml::Table>() {
            print_table(&mut out, "", &tree);
        }
        out
    }
}

fn print_table(out: &mut String, path: &str, table: &toml::Table) {
    for (key, value) in table.iter().filter(|(_, value)| !value.is_table()) {
        let _ = writeln!(out, "{key} = {}", masked(key, value));
    }
    for (key, value) in table {
        if let toml::Value::Table(inner) = value {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            let _ = writeln!(out, "\n[{path}]");
            let secret = key.contains("secret");
            for (name, value) in inner.iter().filter(|_| secret) {
                let _ = writeln!(out, "{name} = {}", masked("secret", value));
            }
            if !secret {
                print_table(out, &path, inner);
            }
        }
    }
}

fn masked(key: &str, value: &toml::Value) -> String {
    let text = value.as_str().unwrap_or_default();
    if (key.contains("secret") || key.ends_with("_key")) && !text.is_empty() {
        return "\"***\"".into();
    }
    match text
        .split_once("://")
        .and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1)))
    {
        Some((scheme, host)) => format!("\"{scheme}://***@{host}\""),
        None => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use serde::Deserialize;
    use std::collections::HashMap;

    #[derive(Debug, Deserialize)]
    struct Own {
        size: u32,
        ratelimit: Switch,
        secrets: HashMap<String, String>,
        providers: HashMap<String, HashMap<String, String>>,
    }

    #[derive(Debug, Deserialize)]
    struct Switch {
        enabled: bool,
    }

    impl Check for Own {
        fn check(&self, faults: &mut Faults) {
            if self.size > 10 {
                faults.add("size", "at most 10");
            }
        }
    }

    const DEFAULTS: &str = "size = 3\n[ratelimit]\nenabled = true\n[secrets]\n[providers]\n";

    fn from(environment: &[(&str, &str)]) -> Result<Loaded<Own>, ConfigurationError> {
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load::<Own>(DEFAULTS, None, environment)
    }

    #[test]
    fn later_layers_win() {
        let folder = tempfile::tempdir().unwrap();
        let (file, secret) = (folder.path().join("c.toml"), folder.path().join("secret"));
        std::fs::write(&file, "size = 5\n[log]\nlevel = \"warn\"\n").unwrap();
        std::fs::write(&secret, "postgres://u:p@h/d\n").unwrap();
        let environment = [
            ("SC_SIZE".to_owned(), "7".to_owned()),
            ("RATELIMIT_ENABLED".to_owned(), "false".to_owned()),
            ("SC_DATABASE__URL_FILE".to_owned(), secret.display().to_string()),
            (
                "SC_DATABASE__REPLICA_URLS".to_owned(),
                "postgres://a/b, postgres://c/d".to_owned(),
            ),
            ("SC_SECRETS__CATALOG".to_owned(), "s".to_owned()),
            ("SC_PROVIDERS__UNIVERSITY__ISSUER".to_owned(), "i".to_owned()),
            (
                "SC_PROVIDERS__UNIVERSITY__CLIENT_SECRET_FILE".to_owned(),
                secret.display().to_string(),
            ),
        ];
        let loaded = load::<Own>(DEFAULTS, Some(&file), environment).unwrap();
        assert_eq!((loaded.app.size, loaded.app.ratelimit.enabled), (7, false));
        assert_eq!(loaded.app.secrets["catalog"], "s");
        assert_eq!(loaded.app.providers["university"]["issuer"], "i");
        assert_eq!(
            loaded.app.providers["university"]["client_secret"],
            "postgres://u:p@h/d"
        );
        assert_eq!(loaded.runtime.log.level, "warn");
        assert_eq!(loaded.runtime.database.url.expose_secret(), "postgres://u:p@h/d");
        assert_eq!(loaded.runtime.database.replica_urls.len(), 2);
        let printed = loaded.print();
        assert!(
            printed.contains("postgres://***@h/d") && printed.contains("catalog = \"***\""),
            "{printed}"
        );
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let fault = from(&[
            ("SC_SIZE", "11"),
            ("SC_GRPC__LISTNE", "x"),
            ("SC_DATABASE__MAX_CONNECTIONS", "many"),
            ("SC_TRACE__RATIO", "2"),
            ("SC_DATABASE__URL_FILE", "/does/not/exist"),
            ("SC_ENV", "production"),
        ])
        .map(|_| ())
        .unwrap_err()
        .to_string();
        for part in [
            "size: at most 10",
            "SC_GRPC__LISTNE: there is no such setting",
            "SC_DATABASE__MAX_CONNECTIONS: has to be a whole number",
            "trace.ratio: has to be from 0 to 1",
            "SC_DATABASE__URL_FILE: /does/not/exist cannot be read",
            "page_token_key: has to be a secret",
        ] {
            assert!(fault.contains(part), "{part} is not in {fault}");
        }
    }

    #[test]
    fn faults_of_certificates_and_their_addresses_are_told_at_once() {
        let authority = test_support::TestAuthority::new();
        let [own, other] = ["exam", "auth"].map(|name| authority.issue(&[name]));
        let text = |path: &Path| path.display().to_string();
        let fault_of = |cert: &str, key: &str, ca: &str| {
            let environment = [
                ("SC_GRPC__TLS_CERT", cert),
                ("SC_GRPC__TLS_KEY", key),
                ("SC_GRPC__TLS_CA", ca),
                ("SC_SERVICES__AUTH", "https://auth:50051"),
            ];
            from(&environment).map(|_| ()).unwrap_err().to_string()
        };
        let fault = fault_of("/nowhere", &text(&own.cert), &text(&own.key));
        for part in [
            "grpc.tls_cert: /nowhere cannot be read",
            "services.exam: has to begin with https",
        ] {
            assert!(fault.contains(part), "{part} is not in {fault}");
        }
        assert!(!fault.contains("services.auth"), "{fault}");
        let fault = fault_of(&text(&own.key), &text(&own.cert), &text(&own.key));
        for part in [
            "grpc.tls_cert: holds no certificate",
            "grpc.tls_key: holds no private key",
            "grpc.tls_ca: holds no certificate",
        ] {
            assert!(fault.contains(part), "{part} is not in {fault}");
        }
        let mixed = fault_of(&text(&own.cert), &text(&other.key), &text(&own.ca));
        assert!(
            mixed.contains("grpc.tls_cert: cannot be used with tls_key"),
            "{mixed}"
        );
        let some = fault_of(&text(&own.cert), "", "");
        assert!(
            some.contains("tls_cert, tls_key and tls_ca go together"),
            "{some}"
        );
        let none = fault_of("", "", "");
        assert!(
            none.contains("services.auth: begins with https, which needs"),
            "{none}"
        );
    }

    #[test]
    fn production_sends_nothing_in_plain_text_unless_it_is_told_to() {
        let mut environment = vec![
            ("SC_ENV", "production"),
            ("SC_PAGE_TOKEN_KEY", "0123456789abcdef0123456789abcdef"),
            ("SC_PUBLIC_URL", "https://school.example"),
        ];
        assert!(
            from(&environment).unwrap().warnings.is_empty(),
            "all on this host"
        );
        let elsewhere = [
            ("SC_DATABASE__URL", "postgres://u:p@db/d?sslmode=prefer"),
            ("SC_REDIS__URL", "redis://redis:6379"),
            ("SC_AMQP__URL", "amqp://u:p@rabbit:5672"),
            ("SC_SERVICES__EXAM", "http://exam:50051"),
        ];
        environment.extend(elsewhere);
        let fault = from(&environment).map(|_| ()).unwrap_err().to_string();
        for key in ["database.url", "redis.url", "amqp.url", "services.exam"] {
            let part = format!("{key}: is plain text to another host");
            assert!(fault.contains(&part), "{part} is not in {fault}");
        }
        assert!(!fault.contains("u:p"), "{fault}");
        environment.push(("SC_ALLOW_PLAIN_TEXT", "true"));
        let warned: Vec<_> = from(&environment)
            .unwrap()
            .warnings
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(warned, ["amqp.url", "database.url", "redis.url", "services.exam"]);
        let encrypted = [
            ("SC_DATABASE__URL", "postgres://u:p@db/d?sslmode=verify-full"),
            ("SC_REDIS__URL", "rediss://redis:6379"),
            ("SC_AMQP__URL", "amqps://u:p@rabbit:5671"),
            ("SC_SERVICES__EXAM", "http://[::1]:50051"),
        ];
        environment.extend(encrypted);
        assert!(from(&environment).unwrap().warnings.is_empty());
        let last = environment.len() - 4;
        environment[last].1 = "postgres://u:p@db/d";
        assert_eq!(
            from(&environment).unwrap().warnings.len(),
            1,
            "the default is to try"
        );
    }
}
