"""Everything that stands in environment staging: exactly the manifests beside this folder."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes
from standing import environment_staging, service_support

config = pulumi.Config()
# Set both, or whatever cluster is current on this machine is changed: pulumi config set kubeContext NAME
context = config.get("kubeContext")
cluster = config.get("clusterIdentifier")
provider = kubernetes.Provider(
    'cluster',
    enable_server_side_apply=True,
    context=context,
    cluster_identifier=cluster,
    delete_unreachable=False,
    suppress_deprecation_warnings=False,
)

place = environment_staging.register(provider, [])
service_support.register(provider, place)
