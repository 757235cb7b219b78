package cli

import (
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// SchedulerOptions is what `weir scheduler` was asked for.
type SchedulerOptions struct {
	Config *rest.Config
	Logger *slog.Logger

	Instance       string // "": the host's name
	LeaderElect    bool
	LeaseNamespace string
	MetricsAddress string               // "" serves neither metrics nor readiness
	WebhookAddress string               // "" runs no admission webhook
	WebhookService types.NamespacedName // by which API servers call it

	// The webhook's certificate: files that somebody else renews, or a Secret
	// in which Weir keeps one.
	CertificateFile   string
	KeyFile           string
	CertificateSecret types.NamespacedName // the zero name where there are files
}

func (s *session) scheduler() *cobra.Command {
	o := SchedulerOptions{}
	var logFormat, logLevel, secret, service string
	c := &cobra.Command{
		Use:   "scheduler",
		Short: "Run Weir's scheduler and admission webhook for a cluster",
		Long: `Run Weir for a real cluster: the scheduler, and with --webhook-address the
admission webhook. Inside a pod it uses the pod's service account; elsewhere the
kubeconfig. Of several replicas one schedules and the others stand by; all
answer the webhook. weir install prints what runs it so.`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.CertificateSecret, err = namespaced("--tls-secret", secret); err != nil {
				return err
			}
			if o.WebhookService, err = namespaced("--webhook-service", service); err != nil {
				return err
			}
			if err := o.check(); err != nil {
				return err
			}
			logger, err := s.logger(logFormat, logLevel)
			if err != nil {
				return err
			}
			o.Logger = logger
			if o.Config, err = s.config().ClientConfig(); err != nil {
				return err
			}
			if s.parts.Scheduler == nil {
				return errMissingPart("the scheduler")
			}
			return ended(cmd.Context(), s.parts.Scheduler(cmd.Context(), o))
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.BoolVar(&o.LeaderElect, "leader-elect", true, "let one of several replicas schedule")
	f.StringVar(&o.Instance, "instance", "",
		"name of this instance in the lease and in events; two of one name would both schedule (default the host's name)")
	f.StringVar(&o.LeaseNamespace, "lease-namespace", "kube-system", "namespace of the lease of the leader")
	f.StringVar(&o.MetricsAddress, "metrics-address", ":8080",
		"address of /metrics, /healthz, /readyz and /leaderz; empty for none")
	f.StringVar(&o.WebhookAddress, "webhook-address", "",
		"address of the admission webhook, such as :9443; empty for none")
	f.StringVar(&secret, "tls-secret", "",
		"NAMESPACE/NAME of a Secret in which Weir keeps a certificate for the webhook, and renews it")
	f.StringVar(&service, "webhook-service", "weir-system/weir",
		"NAMESPACE/NAME of the Service by which API servers call the webhook, for that certificate")
	f.StringVar(&o.CertificateFile, "tls-cert-file", "", "certificate of the webhook, PEM; read anew when it changes")
	f.StringVar(&o.KeyFile, "tls-key-file", "", "key of that certificate, PEM")
	f.StringVar(&logFormat, "log-format", "text", "text or json")
	f.StringVar(&logLevel, "log-level", "info", "debug, info, warn or error")
	return c
}

func (o *SchedulerOptions) check() error {
	files := o.CertificateFile != "" || o.KeyFile != ""
	secret := o.CertificateSecret.Name != ""
	switch {
	case o.WebhookAddress == "" && files:
		return refused("--tls-cert-file and --tls-key-file are for the webhook: add --webhook-address :9443")
	case o.WebhookAddress == "" && secret:
		return refused("--tls-secret is for the webhook: add --webhook-address :9443")
	case files && secret:
		return refused("--tls-secret and --tls-cert-file are two ways to one certificate: leave one of them out")
	case o.WebhookAddress != "" && !secret && (o.CertificateFile == "" || o.KeyFile == ""):
		return refused("--webhook-address needs a certificate, because API servers call webhooks over TLS: " +
			"add --tls-secret, or --tls-cert-file and --tls-key-file")
	case secret && o.WebhookService.Name == "":
		return refused("--webhook-service is empty: a certificate is made for the Service by which the webhook is called")
	}
	if o.LeaderElect && o.LeaseNamespace == "" {
		return refused("--lease-namespace is needed to elect a leader: name a namespace, or write --leader-elect=false")
	}
	return nil
}

// namespaced reads the value of a flag, which may be empty.
func namespaced(flag, value string) (types.NamespacedName, error) {
	namespace, name, ok := strings.Cut(value, "/")
	if value != "" && (!ok || namespace == "" || name == "" || strings.Contains(name, "/")) {
		return types.NamespacedName{}, refused("%s %q names nothing: write NAMESPACE/NAME", flag, value)
	}
	return types.NamespacedName{Namespace: namespace, Name: name}, nil
}

// logger writes to standard error.
func (s *session) logger(format, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, refused("--log-level %q is no level: write debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(s.err, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(s.err, options)), nil
	}
	return nil, refused("--log-format %q is no format: write text or json", format)
}
