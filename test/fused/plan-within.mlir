// To check predictions: the slowest plan that is predicted to be at most so many
// times as slow as the best one. These lines are records of decisions.

// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-prepare-stages,hr-form-stages{target=generic-x86-64-v3})' | FileCheck %s --check-prefix=BEST
// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-prepare-stages,hr-form-stages{target=generic-x86-64-v3 within=3})' | FileCheck %s --check-prefix=SLOW

// BEST: hr.stage @product_
// BEST-SAME: nanoseconds = 4{{[0-9]+}},
// SLOW: hr.stage @product_
// SLOW-SAME: nanoseconds = 1{{[0-9]+}}, runner_up
func.func @product(%x: tensor<512x256xf32> {hr.name = "x", hr.dims = [#hr.size<"512">, #hr.size<"256">]}, %w: tensor<256x512xf32> {hr.name = "w", hr.dims = [#hr.size<"256">, #hr.size<"512">]})
    -> (tensor<512x512xf32> {hr.name = "y", hr.dims = [#hr.size<"512">, #hr.size<"512">]}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<512x512xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<512x512xf32>) -> tensor<512x512xf32>
  %m = linalg.matmul ins(%x, %w : tensor<512x256xf32>, tensor<256x512xf32>) outs(%f : tensor<512x512xf32>) -> tensor<512x512xf32>
  return %m : tensor<512x512xf32>
}
