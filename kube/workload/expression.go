package workload

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/ext"
	"google.golang.org/protobuf/types/known/structpb"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apiserver/pkg/cel/library"

	"github.com/weir-gpu/weir/api/v1alpha1"
)

// costLimit bounds the work of one evaluation, in CEL's units: it is far above
// what any object needs and is spent in a few milliseconds.
const costLimit = 1_000_000

// expression is one expression of a rule, compiled.
type expression struct {
	rule    string
	field   string
	text    string
	program cel.Program // nil where nothing is written
}

// fail returns an error that names the rule, the field and the expression.
func (x expression) fail(format string, args ...any) error {
	return fmt.Errorf("rule %s: %s %q %s", x.rule, x.field, x.text, fmt.Sprintf(format, args...))
}

// environment is what expressions may use: CEL with optional values, the math,
// string and list extensions, and Kubernetes' sum, min and max of lists.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("object", cel.DynType),
		cel.Variable("pod", cel.DynType),
		cel.OptionalTypes(),
		ext.Math(), ext.Strings(), ext.Lists(),
		library.Lists(),
	)
})

// compile compiles one expression. gives lists the types that it may have.
func compile(rule, field string, text v1alpha1.Expression, gives ...*cel.Type) (expression, error) {
	x := expression{rule: rule, field: field, text: string(text)}
	if text == "" {
		return x, nil
	}
	env, err := environment()
	if err != nil {
		return x, fmt.Errorf("setting up CEL: %w", err)
	}
	ast, issues := env.Compile(x.text)
	if issues.Err() != nil {
		return x, x.fail("is not valid CEL: %v; write an expression over the object, such as object.spec.replicas",
			issues.Errors()[0].Message)
	}
	if ast.OutputType().TypeName() == types.OptionalType.TypeName() {
		return x, x.fail("may give no value; end it with .orValue(…)")
	}
	if !oneOf(ast.OutputType(), gives) {
		return x, x.fail("gives a value of type %s; it has to give %s", ast.OutputType(), gives[0])
	}
	x.program, err = env.Program(ast,
		cel.EvalOptions(cel.OptOptimize),
		cel.CostTracking(&library.CostEstimator{}),
		cel.CostLimit(costLimit))
	if err != nil {
		return x, x.fail("cannot be used: %v", err)
	}
	return x, nil
}

// oneOf tells whether a value of type t can be of one of the types.
func oneOf(t *cel.Type, types []*cel.Type) bool {
	if t.Kind() == cel.DynKind {
		return true
	}
	for _, want := range types {
		if t.Kind() == want.Kind() {
			return true
		}
	}
	return false
}

// eval evaluates x over the variables.
func (x expression) eval(vars map[string]any) (ref.Val, error) {
	v, _, err := x.program.Eval(vars)
	if err != nil {
		return nil, x.fail("fails: %v", err)
	}
	if o, ok := v.(*types.Optional); ok {
		if !o.HasValue() {
			return nil, x.fail("gives no value; end it with .orValue(…)")
		}
		v = o.GetValue()
	}
	return v, nil
}

// number evaluates x to a whole number.
func (x expression) number(vars map[string]any) (int64, error) {
	v, err := x.eval(vars)
	if err != nil {
		return 0, err
	}
	return x.asNumber(v)
}

func (x expression) asNumber(v ref.Val) (int64, error) {
	switch n := v.(type) {
	case types.Int:
		return int64(n), nil
	case types.Uint:
		if int64(n) >= 0 {
			return int64(n), nil
		}
	case types.Double:
		if n == types.Double(int64(n)) {
			return int64(n), nil
		}
	}
	return 0, x.fail("gives %v; it has to give a whole number", v.Value())
}

// truth evaluates x to true or false.
func (x expression) truth(vars map[string]any) (bool, error) {
	v, err := x.eval(vars)
	if err != nil {
		return false, err
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, x.fail("gives %v; it has to give true or false", v.Value())
	}
	return bool(b), nil
}

// word evaluates x to a string. Numbers are taken as they are written.
func (x expression) word(vars map[string]any) (string, error) {
	v, err := x.eval(vars)
	if err != nil {
		return "", err
	}
	s, ok := v.ConvertToType(types.StringType).(types.String)
	if !ok {
		return "", x.fail("gives %v; it has to give a string", v.Value())
	}
	return string(s), nil
}

// several evaluates x to a list; what is not a list is a list of one.
func (x expression) several(vars map[string]any) ([]ref.Val, error) {
	v, err := x.eval(vars)
	if err != nil {
		return nil, err
	}
	list, ok := v.(traits.Lister)
	if !ok {
		return []ref.Val{v}, nil
	}
	var all []ref.Val
	for it := list.Iterator(); it.HasNext() == types.True; {
		all = append(all, it.Next())
	}
	return all, nil
}

var jsonObject = reflect.TypeFor[*structpb.Struct]()

// asObject reads a value as a JSON object, with whole numbers as integers.
func (x expression) asObject(v ref.Val) (map[string]any, error) {
	if m, ok := v.Value().(map[string]any); ok {
		return m, nil
	}
	native, err := v.ConvertToNative(jsonObject)
	if err != nil {
		return nil, x.fail("gives %v; it has to give an object", v.Type().TypeName())
	}
	text, err := native.(*structpb.Struct).MarshalJSON()
	if err != nil {
		return nil, x.fail("gives what cannot be written: %v", err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, x.fail("gives what cannot be read: %v", err)
	}
	return m, nil
}
