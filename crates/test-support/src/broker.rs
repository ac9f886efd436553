//! A RabbitMQ vhost for each test.

use std::time::Duration;

use event_bus::{BusSettings, EventBus};
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use crate::{cleanup, eventually};

const PATIENCE: Duration = Duration::from_secs(20);
/// For queues that were just made to have their leaders.
const SETTLING: Duration = Duration::from_secs(10);

/// A vhost on the common broker. Deleted with this value.
#[derive(Debug)]
pub struct TestBroker {
    server: Url,
    management: Url,
    vhost: String,
}

impl TestBroker {
    pub async fn new() -> Self {
        let servers = crate::servers();
        let server: Url = servers.amqp.parse().unwrap();
        let mut management: Url = servers
            .amqp_management
            .parse()
            .expect("AMQP_MANAGEMENT_URL is the address of the management API");
        if management.username().is_empty() {
            management.set_username(server.username()).unwrap();
            management.set_password(server.password()).unwrap();
        }
        let vhost = format!("test-{}", crate::unique());
        let broker = Self {
            server,
            management,
            vhost,
        };
        manage(&broker.management, Method::PUT, &["vhosts", &broker.vhost]).await;
        broker
    }

    pub fn url(&self) -> String {
        let mut url = self.server.clone();
        url.set_path(&self.vhost);
        url.into()
    }

    pub fn settings(&self) -> BusSettings {
        serde_json::from_value(json!({ "url": self.url() })).unwrap()
    }

    pub fn bus(&self, service: &'static str) -> EventBus {
        EventBus::new(self.settings(), service)
    }

    /// A connection of the test's own. Keep both: the channel ends with its connection.
    pub async fn connect(&self) -> (Connection, Channel) {
        let properties = ConnectionProperties::default().with_connection_name("test".into());
        let connection = Connection::connect(&self.url(), properties).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }

    /// How many messages a queue has ready; 0 when there is no such queue.
    pub async fn messages(&self, queue: &str) -> u32 {
        let (connection, channel) = self.connect().await;
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::durable()
        };
        let declared = channel
            .queue_declare(queue.into(), options, FieldTable::default())
            .await;
        let count = declared.map_or(0, |queue| queue.message_count());
        let _ = connection.close(200, "bye".into()).await;
        count
    }

    /// Takes all messages out of a queue.
    pub async fn take_all(&self, queue: &str) -> Vec<lapin::message::Delivery> {
        let (connection, channel) = self.connect().await;
        let mut taken = Vec::new();
        let options = BasicGetOptions { no_ack: true };
        while let Some(message) = channel.basic_get(queue.into(), options).await.unwrap() {
            taken.push(message.delivery);
        }
        let _ = connection.close(200, "bye".into()).await;
        taken
    }

    /// Has the broker close every connection of the vhost; waits for at least one.
    pub async fn close_connections(&self) {
        eventually(PATIENCE, || async {
            let open = manage(
                &self.management,
                Method::GET,
                &["vhosts", &self.vhost, "connections"],
            )
            .await;
            let open = open.as_array().cloned().unwrap_or_default();
            for connection in &open {
                let name = connection["name"].as_str().unwrap();
                manage(&self.management, Method::DELETE, &["connections", name]).await;
            }
            (!open.is_empty()).then_some(())
        })
        .await;
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        let (management, vhost) = (self.management.clone(), self.vhost.clone());
        cleanup::run(async move { remove_vhost(&management, &vhost).await });
    }
}

/// Removes a vhost once its queues have come to rest. RabbitMQ starts a worker for the dead letters of each quorum queue; a queue
/// that is deleted while its worker starts takes the supervisor of all such workers along, and with it every quorum queue there is.
pub async fn remove_vhost(management: &Url, vhost: &str) {
    let began = std::time::Instant::now();
    let mut before = None;
    while began.elapsed() < SETTLING {
        let queues = manage(management, Method::GET, &["queues", vhost]).await;
        let names: Vec<Value> = queues
            .as_array()
            .into_iter()
            .flatten()
            .filter(|queue| queue["state"] == "running" && queue["leader"].is_string())
            .map(|queue| queue["name"].clone())
            .collect();
        let all = queues.as_array().map_or(0, Vec::len);
        if names.len() == all && before == Some(all) {
            break;
        }
        before = Some(all);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    manage(management, Method::DELETE, &["vhosts", vhost]).await;
}

/// A call of the management API; a connection that is gone already counts as deleted.
async fn manage(management: &Url, method: Method, path: &[&str]) -> Value {
    let mut url = management.clone();
    url.path_segments_mut()
        .unwrap()
        .pop_if_empty()
        .push("api")
        .extend(path);
    let answer = reqwest::Client::new()
        .request(method.clone(), url)
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let gone = method == Method::DELETE && status == reqwest::StatusCode::NOT_FOUND;
    assert!(status.is_success() || gone, "{method} {path:?}: {status}");
    answer.json().await.unwrap_or_default()
}
