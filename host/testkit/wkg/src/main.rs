//! What `wkg oci push` and `wkg oci pull` do, by their own libraries, with a registry on this machine.

use anyhow::{Context as _, bail};
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol},
    secrets::RegistryAuth,
};
use oci_wasm::{WasmClient, WasmConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [verb, reference, file] = &arguments[..] else {
        bail!("push|pull REFERENCE FILE");
    };
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok()
        .context("a provider")?;
    let client = WasmClient::new(Client::new(ClientConfig {
        protocol: ClientProtocol::Http,
        ..ClientConfig::default()
    }));
    let reference: Reference = reference.parse()?;
    let auth = RegistryAuth::Anonymous;
    if verb == "push" {
        let (config, layer) = WasmConfig::from_component(file, None).await?;
        let pushed = client.push(&reference, &auth, layer, config, None).await?;
        println!("{}", pushed.manifest_url);
        return Ok(());
    }
    let (_, config, digest) = client.pull_manifest_and_config(&reference, &auth).await?;
    let component = config.component.context("the config names no component")?;
    println!(
        "{digest} {} {} {}",
        config.os,
        component.imports.join(","),
        component.exports.join(",")
    );
    let data = client.pull(&reference, &auth).await?;
    std::fs::write(file, &data.layers[0].data)?;
    Ok(())
}
