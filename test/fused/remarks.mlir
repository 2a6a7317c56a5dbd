// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-prepare-stages,hr-form-stages{target=generic-x86-64-v4})' --verify-diagnostics

// Each decision says what was predicted, and what the nearest alternative was.

func.func @chain(%x: tensor<64x64xf32> {hr.name = "x", hr.dims = [#hr.size<"64">, #hr.size<"64">]})
    -> (tensor<64x64xf32> {hr.name = "y", hr.dims = [#hr.size<"64">, #hr.size<"64">]}) {
  %e = tensor.empty() : tensor<64x64xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) {
  ^bb0(%p: f32, %o: f32):
    %q = math.exp %p : f32
    linalg.yield %q : f32
  } -> tensor<64x64xf32>
  // expected-remark-re @+2 {{joins its producer: {{[0-9]+}} ns together, {{[0-9]+}} ns apart}}
  // expected-remark-re @+1 {{stage 'chain_map_0': tile [{{.+}}], predicted {{[0-9]+}} ns; runner-up tile [{{.+}}]: {{[0-9]+}} ns}}
  %b = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) {
  ^bb0(%p: f32, %o: f32):
    %q = arith.negf %p : f32
    linalg.yield %q : f32
  } -> tensor<64x64xf32>
  return %b : tensor<64x64xf32>
}
