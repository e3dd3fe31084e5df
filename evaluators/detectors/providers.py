"""Forms of the keys of providers that mark theirs with a prefix: kind and expression.

Sources are the providers' own pages and lists of secret scanning. Lengths are lower bounds where
providers have changed them.
"""

_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

PREFIXED: tuple[tuple[str, str], ...] = (
    # models and what belongs to them
    ("aws_bedrock_key", r"\bABSK[A-Za-z0-9+/]{100,280}={0,2}"),
    ("azure_ai_key", r"\b[A-Za-z0-9]{52}JQQJ9[A-Za-z0-9]{24,28}\b"),
    ("cerebras_key", r"\bcsk-[a-z0-9]{40,52}\b"),
    ("elevenlabs_key", r"\bsk_[0-9a-f]{48}\b"),
    ("fireworks_key", r"\bfw_[A-Za-z0-9]{22,26}\b"),
    ("jina_key", r"\bjina_[A-Za-z0-9]{55,70}\b"),
    ("langfuse_key", rf"\bsk-lf-{_UUID}\b"),
    ("langsmith_key", r"\blsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}\b"),
    ("nvidia_key", r"\bnvapi-[A-Za-z0-9_\-]{60,80}"),
    ("perplexity_key", r"\bpplx-[A-Za-z0-9]{40,60}\b"),
    ("pinecone_key", r"\bpcsk_[A-Za-z0-9]{5,7}_[A-Za-z0-9]{50,70}\b"),
    ("replicate_token", r"\br8_[A-Za-z0-9]{37}\b"),
    ("tavily_key", r"\btvly-(?:dev-|prod-)?[A-Za-z0-9]{28,}\b"),
    ("together_key", r"\btgp_v1_[A-Za-z0-9_\-]{40,}"),
    ("voyage_key", r"\bpa-[A-Za-z0-9_\-]{43}\b"),
    ("xai_key", r"\bxai-[A-Za-z0-9]{70,90}\b"),
    # clouds and their tools
    ("alibaba_key", r"\bLTAI[A-Za-z0-9]{16,24}\b"),
    ("azure_devops_token", r"\b[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}\b"),
    ("doppler_token", r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_\-]{2,35}\.)?[A-Za-z0-9]{40,44}\b"),  # noqa: E501  one expression
    ("fly_token", r"\bfm[12][a-z]?_[A-Za-z0-9+/]{60,}={0,2}"),
    ("heroku_key", rf"\bHRKU-(?:{_UUID}\b|AA[A-Za-z0-9_\-]{{58}})"),
    ("netlify_token", r"\bnf[cpou]_[A-Za-z0-9]{36,40}\b"),
    ("planetscale_token", r"\bpscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=\-]{32,}"),
    ("pulumi_token", r"\bpul-[0-9a-f]{40}\b"),
    ("supabase_key", r"\b(?:sbp_(?:v0_)?[0-9a-f]{40}\b|sb_secret_[A-Za-z0-9_\-]{22,})"),
    ("tailscale_key", r"\btskey-(?:auth|api|client|scim|webhook)-[A-Za-z0-9]{8,24}-[A-Za-z0-9]{20,}\b"),  # noqa: E501  one expression
    ("tencent_key", r"\bAKID[A-Za-z0-9]{32}\b"),
    ("terraform_token", r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_\-]{60,}"),
    ("yandex_key", r"\bAQVN[A-Za-z0-9_\-]{35,38}\b"),
    # code and builds
    ("age_key", r"\bAGE-SECRET-KEY-1[AC-HJ-NP-Z02-9]{58}\b"),
    ("atlassian_token", r"\bAT(?:ATT|CTT)3[A-Za-z0-9_=\-]{100,}|\bATBB[A-Za-z0-9]{32}\b"),
    ("buildkite_token", r"\bbk(?:ua|ct|pat)_[0-9a-f]{40}\b"),
    ("circleci_token", r"\bCCI(?:PAT|PRJ)_[A-Za-z0-9]{20,24}_[0-9a-f]{40}\b"),
    ("docker_token", r"\bdckr_(?:pat|oat)_[A-Za-z0-9_\-]{27,}"),
    ("postman_key", r"\bPMAK-[0-9a-f]{24}-[0-9a-f]{34}\b"),
    ("prefect_key", r"\bpn[bu]_[A-Za-z0-9]{36}\b"),
    ("rubygems_key", r"\brubygems_[0-9a-f]{48}\b"),
    ("sourcegraph_token", r"\bsgp_(?:[0-9a-f]{16}_|local_)?[0-9a-f]{40}\b"),
    # monitoring
    ("grafana_token", r"\bglsa_[A-Za-z0-9]{32}_[0-9a-f]{8}\b|\bglc_eyJ[A-Za-z0-9+/]{40,}={0,2}"),
    ("newrelic_key", r"\bNRAK-[A-Z0-9]{27}\b"),
    ("posthog_key", r"\bphx_[A-Za-z0-9]{40,}\b"),
    ("sentry_token", r"\bsntryu_[0-9a-f]{64}\b|\bsntrys_eyJ[A-Za-z0-9+/=_\-]{40,}"),
    # business
    ("airtable_token", r"\bpat[A-Za-z0-9]{14}\.[0-9a-f]{64}\b"),
    ("brevo_key", r"\bx(?:keys|smtps)ib-[0-9a-f]{64}-[A-Za-z0-9]{16}\b"),
    ("contentful_token", r"\bCFPAT-[A-Za-z0-9_\-]{43}"),
    ("easypost_key", r"\bEZ[AT]K[A-Za-z0-9]{54}\b"),
    ("facebook_token", r"\bEAA[A-Z][A-Za-z0-9]{90,}\b"),
    ("figma_token", r"\bfig[dou]_[A-Za-z0-9_\-]{40,}"),
    ("hubspot_token", rf"\bpat-(?:na|eu|ap)\d-{_UUID}\b"),
    ("mapbox_token", r"\b[st]k\.eyJ[A-Za-z0-9_\-]{20,}\.[A-Za-z0-9_\-]{20,}"),
    ("onepassword_token", r"\bops_ey[A-Za-z0-9+/=_\-]{100,}"),
    ("plaid_token", rf"\baccess-(?:production|development)-{_UUID}\b"),
    ("resend_key", r"\bre_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}\b"),
    ("square_token", r"\bsq0(?:atp|csp)-[A-Za-z0-9_\-]{22,43}|\bEAAA[A-Za-z0-9_\-]{60}\b"),
    ("typeform_token", r"\btfp_[A-Za-z0-9_.=\-]{40,}"),
)  # fmt: skip
