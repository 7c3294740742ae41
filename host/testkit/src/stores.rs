//! Services that store what they are sent, on loopback: Debian's InfluxDB, VictoriaMetrics and ClickHouse, and OpenSearch of
//! Maven Central. Each keeps its data below the folder that it is given.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::servers::{Server, folder_of_all, free_port, installed};

impl Server {
    /// `influxd` 1.6, without databases.
    ///
    /// # Panics
    /// When it is not installed, or does not come up.
    pub fn influxdb(folder: &Path) -> Self {
        let (port, backup) = (free_port(), free_port());
        let config = format!(
            "reporting-disabled = true\nbind-address = \"127.0.0.1:{backup}\"\n\
             [meta]\ndir = \"{folder}/meta\"\n[data]\ndir = \"{folder}/data\"\nwal-dir = \"{folder}/wal\"\n\
             [http]\nbind-address = \"127.0.0.1:{port}\"\n",
            folder = folder.display()
        );
        let file = folder.join("influxdb.conf");
        std::fs::write(&file, config).expect("written");
        let mut command = debian("bin/influxd");
        command.arg("-config").arg(file);
        Self::start(command, port, "/query?q=SHOW%20DATABASES")
    }

    /// `victoria-metrics`, which takes the line protocol of InfluxDB, and keeps everything.
    ///
    /// # Panics
    /// When it is not installed, or does not come up.
    pub fn victoria_metrics(folder: &Path) -> Self {
        let port = free_port();
        let mut command = debian("bin/victoria-metrics");
        command
            .arg(format!("-storageDataPath={}", folder.display()))
            .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
            .arg("-retentionPeriod=100y");
        Self::start(command, port, "/health")
    }

    /// `clickhouse-server` 18.16, which runs so many queries at a time.
    ///
    /// # Panics
    /// When it is not installed, or does not come up.
    pub fn clickhouse(folder: &Path, queries: u32) -> Self {
        let port = free_port();
        let config = format!(
            "<yandex><logger><level>fatal</level><console>1</console></logger>\
             <http_port>{port}</http_port><listen_host>127.0.0.1</listen_host>\
             <max_concurrent_queries>{queries}</max_concurrent_queries>\
             <path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path><users_config>users.xml</users_config>\
             <default_profile>default</default_profile><default_database>default</default_database>\
             <mark_cache_size>1000000</mark_cache_size></yandex>",
            folder = folder.display()
        );
        let users = "<yandex><profiles><default/></profiles><quotas><default/></quotas>\
             <users><default><password/><networks><ip>127.0.0.1</ip></networks>\
             <profile>default</profile><quota>default</quota></default></users></yandex>";
        let file = folder.join("config.xml");
        std::fs::write(&file, config).expect("written");
        std::fs::write(folder.join("users.xml"), users).expect("written");
        let mut command = debian("sbin/clickhouse-server");
        command.arg(format!("--config-file={}", file.display()));
        Self::start(command, port, "/ping")
    }

    /// OpenSearch as one node, whose queue holds so many writes beside the one that is under way.
    ///
    /// # Panics
    /// When it is not installed, or does not come up.
    pub fn opensearch(folder: &Path, queue: u32) -> Self {
        let port = free_port();
        let java = stores().join("java").display().to_string();
        let mut command = Command::new("java");
        command
            .args(["-Xmx512m", "-cp", &format!("{java}:{java}/*"), "OneNode"])
            .arg(folder)
            .args([port.to_string(), queue.to_string()]);
        Self::start(command, port, "/_cluster/health")
    }

    /// Asks it: a GET, or with a body a POST. Gives its answer.
    ///
    /// # Panics
    /// When it does not answer with a 2xx, or with no UTF-8.
    pub fn ask(&self, target: &str, body: Option<&str>) -> String {
        let script = "import json, sys, urllib.request as u; r = json.load(sys.stdin)\n\
             body = None if r['body'] is None else r['body'].encode()\n\
             request = u.Request(r['url'], body, {'content-type': 'application/json'})\n\
             opener = u.build_opener(u.ProxyHandler({}))\n\
             print(json.dumps(opener.open(request, timeout=60).read().decode()))";
        let request = json!({ "url": format!("{}{target}", self.url()), "body": body });
        match crate::python(script, request.to_string().as_bytes()) {
            Value::String(answer) => answer,
            other => panic!("{other}"),
        }
    }
}

/// Reads bodies of OTLP logs in JSON by the definitions of OpenTelemetry (PyPI: `opentelemetry-proto`), which take no
/// member that they do not know: gives each as it is written again.
///
/// # Panics
/// When one of them is none.
pub fn read_otlp_logs(bodies: &[String]) -> Vec<Value> {
    let script = "import json, sys; from google.protobuf import json_format as f\n\
         from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest as R\n\
         print(json.dumps([f.MessageToDict(f.Parse(body, R())) for body in json.load(sys.stdin)]))";
    let mut command = Command::new(stores().join("python/bin/python"));
    let mut child = command
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python runs");
    let stdin = child.stdin.take().expect("piped");
    serde_json::to_writer(stdin, bodies).expect("the script reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the script failed: see above");
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

/// A program of Debian, unpacked with its libraries, or the machine's own.
fn debian(name: &str) -> Command {
    let root = stores().join("debian");
    let program = root.join("usr").join(name);
    if !program.is_file() {
        return Command::new(Path::new(name).file_name().expect("a name"));
    }
    // Debian's own places for libraries of this kind of machine, which is not known here.
    let folders = ["lib", "usr/lib"].map(|folder| std::fs::read_dir(root.join(folder)));
    let folders = folders.into_iter().flatten().flatten().flatten();
    let libraries = std::env::join_paths(folders.map(|entry| entry.path()));
    let mut command = Command::new(program);
    command.env("LD_LIBRARY_PATH", libraries.expect("no colons"));
    command
}

fn stores() -> PathBuf {
    installed(folder_of_all().join("stores"), "make servers")
}
