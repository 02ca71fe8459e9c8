"""Everything that stands in environment staging: exactly the manifests beside this folder."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes
from standing import environment_staging, service_support

config = pulumi.Config()
# Which cluster is changed is said, and never whichever is current: pulumi up --config kubeContext=NAME
context = config.require("kubeContext")
# Another kubeconfig than this machine's: pulumi config set --secret kubeconfig, with its text
kubeconfig = config.get_secret("kubeconfig")
# What moves the objects to a new cluster when it changes; the context's name where nothing is said
cluster = config.get("clusterIdentifier") or context
provider = kubernetes.Provider(
    'cluster',
    enable_server_side_apply=True,
    kubeconfig=kubeconfig,
    context=context,
    cluster_identifier=cluster,
    delete_unreachable=False,
    suppress_deprecation_warnings=False,
)

place = environment_staging.register(provider, [])
service_support.register(provider, place)
