//! The OpenAPI document of the admin address, made of the table of routes and of the types that are sent.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    api::{Changed, Draining, Ingresses, Live, Plugins, Ready, Sinks},
    problem::Problem,
    record::{self, Recorded},
    reload::Reloaded,
    routes::{Does, Need, ROUTES, Route},
    status::{SinkStatus, Status},
    swap,
};
use crate::plugin::Swapped;

/// The OpenAPI document (3.1) of the admin address.
pub fn openapi() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for route in &ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation(route, &mut schemas);
    }
    schemas.subschema_for::<Problem>();
    let schemas = schemas.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Nozzle's admin address",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": "What a host shows of itself, and what it can be told while it runs. Whoever asks sees ids and numbers, never a secret; records in the answer of `record-sink` alone.",
        },
        "servers": [{ "url": "http://127.0.0.1:9464", "description": "where it is if nothing is said" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "`admin.token` of the module; without it, what stands in `admin-token` in the state directory, for changes alone. On a Unix socket none, unless the module has one.",
            } },
        },
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    for (status, description) in refusals(route) {
        let problem =
            json!({ "application/problem+json": { "schema": schemas.subschema_for::<Problem>() } });
        responses.insert(
            status.to_string(),
            json!({ "description": description, "content": problem }),
        );
    }
    let answered = answered(route, schemas);
    if route.does == Does::Ready {
        responses.insert("503".to_owned(), answered.clone());
    }
    let status = if route.does == Does::DrainHost {
        "202"
    } else {
        "200"
    };
    responses.insert(status.to_owned(), answered);
    let names = ["namespace", "name"];
    let named = names
        .into_iter()
        .filter(|name| route.path.contains(&format!("{{{name}}}")));
    let mut parameters: Vec<Value> = named
        .map(|name| {
            json!({
                "name": name, "in": "path", "required": true,
                "description": format!("The {name} in the sink's id, `namespace/name`."),
                "schema": { "type": "string", "pattern": "^[a-z0-9-]+$" },
            })
        })
        .collect();
    let more = match route.does {
        Does::Swap => swap::parameters().to_vec(),
        Does::Record => record::parameters().to_vec(),
        _ => Vec::new(),
    };
    parameters.extend(more.into_iter().map(|(name, schema, description)| {
        json!({
            "name": name, "in": "query", "required": false,
            "description": description,
            "schema": schema,
        })
    }));
    let mut operation = json!({
        "operationId": route.id,
        "summary": route.summary,
        "responses": responses,
    });
    if route.does == Does::Swap {
        let component = json!({ "schema": { "type": "string", "format": "binary" } });
        operation["requestBody"] = json!({
            "description": "A component; without one, what the module names is read again.",
            "required": false,
            "content": { "application/octet-stream": component },
        });
    }
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    match route.need {
        Need::Nothing => {}
        // Whether it is asked for is the module's to say.
        Need::Read | Need::Change => operation["security"] = json!([{}, { "token": [] }]),
    }
    operation
}

/// What may stand in the way, beside a path or a method that there is not.
fn refusals(route: &Route) -> Vec<(u16, &'static str)> {
    let mut refusals = vec![
        (
            400,
            "The request names no host, or has a body that is not expected.",
        ),
        (
            403,
            "The request comes from a page of another origin, or names another host; or the address is read-only.",
        ),
    ];
    if route.need != Need::Nothing {
        refusals.push((401, "The token is needed, and was not shown."));
        refusals.push((503, "The host is starting, or its token cannot be read."));
    }
    if route.path.contains('{') {
        refusals.push((404, "There is no such sink."));
    }
    if route.need == Need::Change {
        refusals.push((413, "The body is too large."));
    }
    if matches!(route.does, Does::Swap | Does::Rollback) {
        refusals.push((
            409,
            "Another version is being loaded, or there was none before.",
        ));
        refusals.push((422, "The version was refused; the one before serves on."));
        refusals.push((500, "It could not be written to the state directory."));
    }
    if route.does == Does::Reload {
        refusals.push((
            409,
            "The host runs without a module file, or is about to end.",
        ));
        refusals.push((422, "The module was refused; all is as it was."));
        refusals.push((
            500,
            "It failed on the way: the host ends, and loses nothing.",
        ));
    }
    if matches!(route.does, Does::Pause | Does::Resume | Does::Drain) {
        refusals.push((409, "The sink has ended."));
    }
    if route.does == Does::Record {
        refusals.push((409, "The sink is being recorded, or has ended."));
    }
    refusals
}

fn answered(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    fn of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
        json!(schemas.subschema_for::<T>())
    }
    let schema = match route.does {
        Does::Metrics => {
            let text = json!({ "schema": { "type": "string" } });
            let content = json!({ "text/plain": text, "application/openmetrics-text": text });
            return json!({ "description": "The metrics.", "content": content });
        }
        Does::OpenApi => json!({ "type": "object" }),
        Does::Live => of::<Live>(schemas),
        Does::Ready => of::<Ready>(schemas),
        Does::Status => of::<Status>(schemas),
        Does::Sinks => of::<Sinks>(schemas),
        Does::Sink => of::<SinkStatus>(schemas),
        Does::Plugins => of::<Plugins>(schemas),
        Does::Ingresses => of::<Ingresses>(schemas),
        Does::Pause | Does::Resume | Does::Drain => of::<Changed>(schemas),
        Does::DrainHost => of::<Draining>(schemas),
        Does::Reload => of::<Reloaded>(schemas),
        Does::Swap | Does::Rollback => of::<Swapped>(schemas),
        Does::Record => of::<Recorded>(schemas),
    };
    json!({ "description": "The answer.", "content": { "application/json": { "schema": schema } } })
}
