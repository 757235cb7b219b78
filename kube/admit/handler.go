package admit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Path is where the webhook is served.
const Path = "/admit"

// maxBody is twice what the API server takes as one object, as a review can
// hold the old one and the new.
const maxBody = 2 * 3 << 20

// Handler returns the webhook.
func Handler(cfg Config) http.Handler {
	return &handler{cfg}
}

type handler struct{ cfg Config }

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "method "+r.Method+" is not served here; POST an AdmissionReview", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		http.Error(w, fmt.Sprintf("the body is larger than %d bytes; send one object per AdmissionReview", maxBody),
			http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		http.Error(w, "the body cannot be read ("+err.Error()+"); send it again", http.StatusBadRequest)
		return
	}
	review, err := parse(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	verdict := h.judge(r.Context(), review.Request)
	review.Response, review.Request = verdict.response(review.Request.UID), nil
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(review); err != nil {
		h.cfg.Log.Warn("the answer to an admission review could not be sent", "error", err)
	}
}

// parse reads an AdmissionReview.
func parse(body []byte) (*admissionv1.AdmissionReview, error) {
	const valid = "send an AdmissionReview of admission.k8s.io/v1 with a request"
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &review); err != nil {
		return nil, fmt.Errorf("the body is not JSON of the right form (%w); %s", err, valid)
	}
	if review.GroupVersionKind() != admissionv1.SchemeGroupVersion.WithKind("AdmissionReview") {
		return nil, fmt.Errorf("the body is of kind %q; %s", review.GroupVersionKind().String(), valid)
	}
	if review.Request == nil || review.Request.UID == "" {
		return nil, fmt.Errorf("the body has no request with a uid; %s", valid)
	}
	return &review, nil
}

// verdict is the answer to one review: refused when err is set.
type verdict struct {
	err      error
	patch    []operation
	warnings []string
}

// operation is one step of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

func (v verdict) response(uid types.UID) *admissionv1.AdmissionResponse {
	r := &admissionv1.AdmissionResponse{UID: uid, Allowed: v.err == nil, Warnings: v.warnings}
	if v.err != nil {
		r.Result = status(v.err)
		return r
	}
	if len(v.patch) > 0 {
		patch, err := json.Marshal(v.patch)
		if err != nil {
			r.Allowed, r.Result = false, status(err)
			return r
		}
		r.Patch, r.PatchType = patch, new(admissionv1.PatchTypeJSONPatch)
	}
	return r
}

// status says why in the API's terms. Errors of the API itself, such as that
// it is overloaded, keep their code, so that clients know to try again.
func status(err error) *metav1.Status {
	if s := apierrors.APIStatus(nil); errors.As(err, &s) {
		st := s.Status()
		st.Message = err.Error()
		return &st
	}
	return &metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusUnprocessableEntity,
		Reason:  metav1.StatusReasonInvalid,
		Message: sentence(err),
	}
}

// sentence is the first of what may be several joined errors: one thing to put
// right at a time.
func sentence(err error) string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 0 { //nolint:errorlint // top
		return sentence(joined.Unwrap()[0])
	}
	return err.Error()
}
