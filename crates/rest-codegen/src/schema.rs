//! The protos as the generators see them: descriptors with our options read out of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    MethodDescriptor, ReflectMessage, Value,
};

/// All that the generators work on.
pub struct Schema {
    pub pool: DescriptorPool,
    /// Serialised `FileDescriptorSet`, options included.
    pub descriptors: Vec<u8>,
    pub file_set: prost_types::FileDescriptorSet,
    pub methods: Vec<Method>,
    /// Messages of packages `sc.*`, without options.
    pub messages: Vec<MessageDescriptor>,
}

/// One RPC with its policy.
pub struct Method {
    pub descriptor: MethodDescriptor,
    pub policy: Policy,
    pub http: Option<Http>,
}

pub struct Policy {
    pub auth: &'static str,
    /// Services that may call; only for RPCs between services.
    pub callers: Vec<String>,
    pub permission: String,
    /// `None` for an RPC without an HTTP rule.
    pub rate_class: Option<&'static str>,
    /// Seconds, whether it is per user, and the permission that goes past it.
    pub cache: Option<(u32, bool, String)>,
    pub success_status: u16,
    /// Another one, of what was there already.
    pub existing_status: Option<u16>,
    pub idempotent: bool,
    pub location: String,
    pub sensitive: bool,
    pub max_body_bytes: u32,
    pub ignores_body: bool,
    /// The field that takes a body which is a file; empty where there is none.
    pub file: String,
    /// Fields that the query binds beside a body.
    pub query: Vec<String>,
}

pub struct Http {
    /// In upper case.
    pub verb: &'static str,
    pub path: String,
    pub path_fields: Vec<FieldDescriptor>,
    /// `body: "*"`.
    pub has_body: bool,
    /// Fields that neither path nor body bind.
    pub query_fields: Vec<FieldDescriptor>,
}

const DEFAULT_BODY_BYTES: u32 = 1 << 20;

impl Schema {
    /// Compiles every proto of ours below `root` and reads their options.
    pub fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        find_protos(&root.join("sc"), &mut files)?;
        files.sort();
        let mut compiler = protox::Compiler::new([root])?;
        compiler.include_imports(true).include_source_info(true);
        compiler.open_files(&files)?;
        let pool = compiler.descriptor_pool();
        let mut methods = Vec::new();
        for service in pool.services().filter(|s| s.full_name().starts_with("sc.")) {
            for method in service.methods() {
                let name = method.full_name().to_owned();
                methods.push(Method::read(method, &pool).with_context(|| format!("RPC {name}"))?);
            }
        }
        let messages = pool.all_messages().filter(|m| {
            let package = m.package_name();
            package.starts_with("sc.") && package != "sc.http.v1" && m.name() != "EventOptions"
        });
        Ok(Self {
            messages: messages.collect(),
            methods,
            descriptors: compiler.encode_file_descriptor_set(),
            file_set: compiler.file_descriptor_set(),
            pool,
        })
    }

    /// Methods that are reachable over HTTP.
    pub fn routes(&self) -> impl Iterator<Item = (&Method, &Http)> {
        self.methods
            .iter()
            .filter_map(|m| m.http.as_ref().map(|http| (m, http)))
    }
}

fn find_protos(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            find_protos(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "proto") {
            found.push(path);
        }
    }
    Ok(())
}

impl Method {
    fn read(descriptor: MethodDescriptor, pool: &DescriptorPool) -> Result<Self> {
        let mut http = Http::read(&descriptor, pool)?;
        let policy = Policy::read(&descriptor, pool, http.is_some())?;
        if let Some(http) = &mut http {
            http.bind_query(&descriptor.input(), &policy.query)?;
        }
        ensure!(
            !descriptor.is_client_streaming() && !descriptor.is_server_streaming(),
            "streaming is not part of the public API"
        );
        if !policy.file.is_empty() {
            let field = descriptor.input().get_field_by_name(&policy.file);
            ensure!(
                http.as_ref().is_some_and(|http| http.has_body)
                    && field.is_some_and(|f| matches!(f.kind(), Kind::String) && !f.supports_presence()),
                "`file` names a plain string of a request with a body"
            );
        }
        if policy.auth == "Service" {
            ensure!(http.is_none(), "AUTH_SERVICE is never reachable over HTTP");
        }
        if !policy.location.is_empty() {
            for name in placeholders(&policy.location) {
                // `webhook.id` is the id in the answer's webhook.
                let mut message = Some(descriptor.output());
                for part in name.split('.') {
                    let field = message.and_then(|message| message.get_field_by_name(part));
                    let field = field.with_context(|| {
                        format!("`location` names {name}, which is no field of the answer")
                    })?;
                    message = field.kind().as_message().cloned();
                }
            }
        }
        Ok(Self {
            descriptor,
            policy,
            http,
        })
    }

    /// `auth` of `sc.auth.v1`: the process that serves it.
    pub fn process(&self) -> &str {
        self.descriptor
            .parent_service()
            .package_name()
            .split('.')
            .nth(1)
            .unwrap_or_default()
            .to_owned()
            .leak()
    }
}

/// The names between braces.
pub fn placeholders(template: &str) -> impl Iterator<Item = &str> {
    template
        .split('{')
        .skip(1)
        .filter_map(|part| part.split_once('}').map(|(name, _)| name))
}

fn extension<D>(
    pool: &DescriptorPool,
    options: &DynamicMessage,
    name: &str,
    _of: &D,
) -> Result<Option<DynamicMessage>> {
    let extension = pool
        .get_extension_by_name(name)
        .ok_or_else(|| anyhow!("the option {name} is not declared"))?;
    if !options.has_extension(&extension) {
        return Ok(None);
    }
    Ok(options.get_extension(&extension).as_message().cloned())
}

/// The rules of a field, where it has some.
pub fn rules_of(pool: &DescriptorPool, field: &FieldDescriptor) -> Result<Option<DynamicMessage>> {
    extension(pool, &field.options(), "buf.validate.field", field)
}

/// The items of a message that is an array in JSON (`sc.http.v1.list`).
pub fn items_of(message: &MessageDescriptor) -> Result<Option<FieldDescriptor>> {
    let extension = message.parent_pool().get_extension_by_name("sc.http.v1.list");
    let extension = extension.ok_or_else(|| anyhow!("the option sc.http.v1.list is not declared"))?;
    if message.options().get_extension(&extension).as_bool() != Some(true) {
        return Ok(None);
    }
    let items = message.get_field_by_name("items").filter(|items| {
        items.is_list()
            && message.fields().len() == 1
            && matches!(items.kind(), Kind::Message(_) | Kind::String)
    });
    ensure!(
        items.is_some(),
        "{}: a list has the one field `repeated items`, of messages or texts",
        message.full_name()
    );
    Ok(items)
}

/// What an event message says of itself.
pub struct EventOptions {
    pub name: String,
    pub subject: String,
    pub secret: bool,
}

/// The event options of a message, where it is one.
pub fn event_of(pool: &DescriptorPool, message: &MessageDescriptor) -> Result<Option<EventOptions>> {
    let Some(options) = extension(pool, &message.options(), "sc.events.v1.event", message)? else {
        return Ok(None);
    };
    Ok(Some(EventOptions {
        name: text(&options, "type"),
        subject: text(&options, "subject"),
        secret: flag(&options, "secret"),
    }))
}

pub fn text(message: &DynamicMessage, field: &str) -> String {
    message
        .get_field_by_name(field)
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn number(message: &DynamicMessage, field: &str) -> i32 {
    message
        .get_field_by_name(field)
        .and_then(|v| v.as_i32())
        .unwrap_or_default()
}

fn flag(message: &DynamicMessage, field: &str) -> bool {
    message
        .get_field_by_name(field)
        .and_then(|v| v.as_bool())
        .unwrap_or_default()
}

fn texts(message: &DynamicMessage, field: &str) -> Vec<String> {
    match message.get_field_by_name(field).as_deref() {
        Some(Value::List(values)) => values
            .iter()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

fn enum_name(message: &DynamicMessage, field: &str) -> Result<String> {
    let descriptor = message
        .descriptor()
        .get_field_by_name(field)
        .context("no such field")?;
    let Kind::Enum(kind) = descriptor.kind() else {
        bail!("{field} is no enum")
    };
    let kind: EnumDescriptor = kind;
    let value = message
        .get_field(&descriptor)
        .as_enum_number()
        .unwrap_or_default();
    let value = kind.get_value(value).context("unknown enum value")?;
    Ok(value.name().to_owned())
}

impl Policy {
    fn read(method: &MethodDescriptor, pool: &DescriptorPool, has_http: bool) -> Result<Self> {
        let options = extension(pool, &method.options(), "sc.http.v1.policy", method)?
            .context("has no (sc.http.v1.policy): say who may call it")?;
        let auth = match enum_name(&options, "auth")?.as_str() {
            "AUTH_PUBLIC" => "Public",
            "AUTH_OPTIONAL" => "Optional",
            "AUTH_REQUIRED" => "Required",
            "AUTH_SERVICE" => "Service",
            _ => bail!("its policy does not say who may call it (auth)"),
        };
        let callers = texts(&options, "callers");
        ensure!(
            (auth == "Service") != callers.is_empty(),
            "AUTH_SERVICE and `callers` go together: say which services may call"
        );
        let is_name = |name: &String| {
            name == "*" || (!name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        };
        ensure!(
            callers.iter().all(is_name),
            "`callers` are names of services in snake case, or `*`"
        );
        let rate_class = match enum_name(&options, "rate_class")?.as_str() {
            "RATE_CLASS_API_READ" => Some("ApiRead"),
            "RATE_CLASS_API_WRITE" => Some("ApiWrite"),
            "RATE_CLASS_LOGIN" => Some("Login"),
            "RATE_CLASS_REGISTER" => Some("Register"),
            "RATE_CLASS_PASSWORD_RESET" => Some("PasswordReset"),
            "RATE_CLASS_EXAM" => Some("Exam"),
            "RATE_CLASS_PROGRESS" => Some("Progress"),
            _ => None,
        };
        ensure!(!has_http || rate_class.is_some(), "its policy has no rate_class");
        let permission = text(&options, "permission");
        let well_formed = permission.split_once(':').is_some_and(|(what, may)| {
            [what, may]
                .iter()
                .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        });
        ensure!(
            permission.is_empty() || well_formed,
            "the permission {permission:?} is not `what:may`"
        );
        ensure!(
            permission.is_empty() || auth == "Required",
            "a permission needs AUTH_REQUIRED"
        );
        let empty = method.output().full_name() == "google.protobuf.Empty";
        let success_status = match number(&options, "success_status") {
            0 if empty => 204,
            0 => 200,
            status => u16::try_from(status).context("success_status")?,
        };
        let existing_status = match number(&options, "existing_status") {
            0 => None,
            status => Some(u16::try_from(status).context("existing_status")?),
        };
        let cache = match options.get_field_by_name("cache").as_deref() {
            Some(Value::Message(cache)) if options.has_field_by_name("cache") => Some((
                u32::try_from(number(cache, "ttl_seconds"))?,
                flag(cache, "per_user"),
                text(cache, "except_permission"),
            )),
            _ => None,
        };
        let max_body_bytes = match u32::try_from(number(&options, "max_body_bytes"))? {
            0 => DEFAULT_BODY_BYTES,
            bytes => bytes,
        };
        Ok(Self {
            auth,
            callers,
            permission,
            rate_class,
            cache,
            success_status,
            existing_status,
            idempotent: flag(&options, "idempotent"),
            location: text(&options, "location"),
            sensitive: flag(&options, "sensitive"),
            max_body_bytes,
            ignores_body: flag(&options, "ignores_body"),
            file: text(&options, "file"),
            query: texts(&options, "query"),
        })
    }
}

impl Http {
    fn read(method: &MethodDescriptor, pool: &DescriptorPool) -> Result<Option<Self>> {
        let Some(rule) = extension(pool, &method.options(), "google.api.http", method)? else {
            return Ok(None);
        };
        let verbs = [
            ("get", "GET"),
            ("post", "POST"),
            ("put", "PUT"),
            ("patch", "PATCH"),
            ("delete", "DELETE"),
        ];
        let (verb, path) = verbs
            .iter()
            .find_map(|(field, verb)| Some((*verb, text(&rule, field))).filter(|(_, path)| !path.is_empty()))
            .context("its HTTP rule has no method")?;
        let has_body = match text(&rule, "body").as_str() {
            "" => false,
            "*" => true,
            other => bail!("body: {other:?} is not supported, only \"*\""),
        };
        let input = method.input();
        let path_fields: Vec<FieldDescriptor> = placeholders(&path)
            .map(|name| {
                input
                    .get_field_by_name(name)
                    .with_context(|| format!("{name} is no field of the request"))
            })
            .collect::<Result<_>>()?;
        for field in &path_fields {
            ensure!(
                matches!(field.kind(), Kind::String) && !field.is_list() && !field.supports_presence(),
                "{} is in the path and has to be a plain string",
                field.name()
            );
        }
        Ok(Some(Self {
            verb,
            path,
            path_fields,
            has_body,
            query_fields: Vec::new(),
        }))
    }

    /// Without a body the query binds what the path does not; with one, only what the policy names.
    fn bind_query(&mut self, input: &MessageDescriptor, named: &[String]) -> Result<()> {
        let in_query = |field: &FieldDescriptor| {
            if self.has_body {
                named.iter().any(|name| name == field.name())
            } else {
                self.path_fields.iter().all(|p| p.name() != field.name())
            }
        };
        let query_fields: Vec<FieldDescriptor> = input.fields().filter(in_query).collect();
        for field in &query_fields {
            let scalar = matches!(field.kind(), Kind::String | Kind::Int32 | Kind::Bool);
            ensure!(
                scalar && !field.is_list(),
                "{} cannot be a query parameter",
                field.name()
            );
        }
        self.query_fields = query_fields;
        Ok(())
    }
}
