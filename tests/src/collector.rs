//! A collector of traces: takes spans by OTLP over gRPC and keeps them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::wait::eventually;

/// How long spans may be under way.
const SOON: Duration = Duration::from_secs(30);

/// A span as a process sent it.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// 32 digits.
    pub trace: String,
    /// 16 digits.
    pub id: String,
    /// Id of the span around it; empty without one.
    pub parent: String,
    /// Trace and id of every span that it is linked to.
    pub links: Vec<(String, String)>,
    /// Names and values of its attributes.
    pub attributes: Vec<(String, String)>,
    /// `service.name` of who sent it.
    pub service: String,
}

impl Span {
    /// The value of an attribute, if it has it.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A collector on loopback; ends when it is dropped.
#[derive(Debug)]
pub struct Collector {
    url: String,
    kept: Kept,
    serving: JoinHandle<()>,
}

#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Received>>);

#[derive(Debug, Default)]
struct Received {
    spans: Vec<Span>,
    /// Every request as it was said, for searches.
    texts: Vec<String>,
}

impl Collector {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it has an address"));
        let kept = Kept::default();
        let service = TraceServiceServer::new(kept.clone());
        let serving = tokio::spawn(async move {
            let served =
                Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener));
            served.await.expect("the collector serves");
        });
        Self { url, kept, serving }
    }

    /// Where spans are sent.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Every span so far.
    pub fn spans(&self) -> Vec<Span> {
        self.kept.lock(|received| received.spans.clone())
    }

    /// Everything that was received, as text.
    pub fn text(&self) -> String {
        self.kept.lock(|received| received.texts.join("\n"))
    }

    /// Waits for a span that `wanted` takes, and gives the first.
    pub async fn span(&self, what: &str, wanted: impl Fn(&Span) -> bool) -> Span {
        eventually(format!("the collector gets {what}"), SOON, async || {
            let spans = self.spans();
            let names = || spans.iter().map(|span| span.name.clone()).collect::<Vec<_>>();
            spans.iter().find(|span| wanted(span)).cloned().ok_or_else(names)
        })
        .await
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Kept {
    fn lock<T>(&self, look: impl FnOnce(&mut Received) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let request = request.into_inner();
        let text = format!("{request:?}");
        let spans: Vec<Span> = request.resource_spans.into_iter().flat_map(of_resource).collect();
        self.lock(|received| {
            received.spans.extend(spans);
            received.texts.push(text);
        });
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn of_resource(sent: opentelemetry_proto::tonic::trace::v1::ResourceSpans) -> Vec<Span> {
    let resource = sent.resource.map(|resource| attributes(resource.attributes)).unwrap_or_default();
    let service = resource.into_iter().find(|(name, _)| name == "service.name");
    let service = service.map(|(_, name)| name).unwrap_or_default();
    let spans = sent.scope_spans.into_iter().flat_map(|scope| scope.spans);
    spans
        .map(|span| Span {
            name: span.name,
            trace: hex::encode(span.trace_id),
            id: hex::encode(span.span_id),
            parent: hex::encode(span.parent_span_id),
            links: span
                .links
                .into_iter()
                .map(|link| (hex::encode(link.trace_id), hex::encode(link.span_id)))
                .collect(),
            attributes: attributes(span.attributes),
            service: service.clone(),
        })
        .collect()
}

fn attributes(sent: Vec<KeyValue>) -> Vec<(String, String)> {
    sent.into_iter().map(|pair| (pair.key, shown(pair.value))).collect()
}

fn shown(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}
