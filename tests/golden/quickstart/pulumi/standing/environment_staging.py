"""What stands in the cluster for environment/staging."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes


def register(provider: pulumi.ProviderResource, after: list[pulumi.Resource]) -> list[pulumi.Resource]:
    """Register each object once those before it are ready. Returns all of them."""
    done = list(after)
    done.append(
        kubernetes.core.v1.Namespace(
            'support-staging',
            metadata=kubernetes.meta.v1.ObjectMetaArgs(
                name='support-staging',
                labels={
                    'app.kubernetes.io/name': 'staging',
                    'app.kubernetes.io/component': 'environment',
                    'app.kubernetes.io/part-of': 'quickstart',
                    'app.kubernetes.io/managed-by': 'llmops',
                    'pod-security.kubernetes.io/enforce': 'restricted',
                    'pod-security.kubernetes.io/enforce-version': 'v1.34',
                    'pod-security.kubernetes.io/audit': 'restricted',
                    'pod-security.kubernetes.io/audit-version': 'v1.34',
                    'pod-security.kubernetes.io/warn': 'restricted',
                    'pod-security.kubernetes.io/warn-version': 'v1.34',
                },
                annotations={'llmops.dev/owner': 'team-support'},
            ),
            opts=pulumi.ResourceOptions(provider=provider, depends_on=list(done), protect=True),
        ),
    )
    done.append(
        kubernetes.core.v1.ServiceAccount(
            'llmops-serving',
            metadata=kubernetes.meta.v1.ObjectMetaArgs(
                name='llmops-serving',
                namespace='support-staging',
                labels={
                    'app.kubernetes.io/name': 'staging',
                    'app.kubernetes.io/component': 'environment',
                    'app.kubernetes.io/part-of': 'quickstart',
                    'app.kubernetes.io/managed-by': 'llmops',
                },
                annotations={'llmops.dev/owner': 'team-support'},
            ),
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(provider=provider, depends_on=list(done)),
        ),
    )
    done.append(
        kubernetes.networking.v1.NetworkPolicy(
            'default-deny',
            metadata=kubernetes.meta.v1.ObjectMetaArgs(
                name='default-deny',
                namespace='support-staging',
                labels={
                    'app.kubernetes.io/name': 'staging',
                    'app.kubernetes.io/component': 'environment',
                    'app.kubernetes.io/part-of': 'quickstart',
                    'app.kubernetes.io/managed-by': 'llmops',
                },
                annotations={'llmops.dev/owner': 'team-support'},
            ),
            spec=kubernetes.networking.v1.NetworkPolicySpecArgs(
                pod_selector=kubernetes.meta.v1.LabelSelectorArgs(),
                policy_types=['Ingress', 'Egress'],
                ingress=[],
                egress=[],
            ),
            opts=pulumi.ResourceOptions(provider=provider, depends_on=list(done)),
        ),
    )
    return done
