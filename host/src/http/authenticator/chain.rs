//! Keys of AWS from the SDK's standard chain: environment, profile, web identity, SSO, container, instance.

use std::{sync::Arc, time::SystemTime};

use crate::{
    auth::{
        settings::SigV4Settings,
        sigv4::{Credentials, SigV4},
    },
    aws::{self, settings::AwsSettings},
    causes::explain,
    http::lease::{Grant, Lease, Lent},
};

type Keys = (SigV4, Credentials);

#[derive(Debug)]
pub(super) struct Chain {
    service: String,
    aws: AwsSettings,
    lease: Lease<Keys>,
}

impl Chain {
    pub(super) fn new(settings: &SigV4Settings) -> Self {
        Self {
            service: settings.service.clone(),
            aws: AwsSettings {
                region: settings.region.clone(),
                endpoint_url: None,
            },
            lease: Lease::default(),
        }
    }

    pub(super) async fn get(&self) -> Result<Arc<Lent<Keys>>, String> {
        let (service, aws) = (self.service.clone(), self.aws.clone());
        self.lease.get(|| fetch(service, aws)).await
    }

    /// Whether there are other keys than those that were refused.
    pub(super) async fn refused(&self, used: &Arc<Lent<Keys>>) -> bool {
        if !self.lease.refused(used) {
            return false;
        }
        let now = self.get().await;
        now.is_ok_and(|now| !now.value.1.is(&used.value.1))
    }
}

/// Asks the chain from its beginning: a profile that was changed is read again.
async fn fetch(service: String, aws: AwsSettings) -> Result<Grant<Keys>, String> {
    let keys = Box::pin(aws::keys(&aws)).await;
    let keys = keys.map_err(|error| explain(&error))?;
    let until = keys.credentials.expiry();
    let lifetime = until.map(|until| until.duration_since(SystemTime::now()).unwrap_or_default());
    let sigv4 = SigV4::new(&service, &keys.region);
    Ok(Grant {
        value: (sigv4, keys.credentials.into()),
        lifetime,
    })
}
