// The plan of a stage follows from the machine's figures. Nothing but the
// description differs.

// The columns are split among as many workers as there are.

// RUN: hrcc --print-target=generic-x86-64-v4 > %t.mlir
// RUN: sed -e 's/@core x 8/@core x 2/' %t.mlir > %t.two.mlir
// RUN: sed -e 's/@core x 8/@core x 4/' %t.mlir > %t.four.mlir
// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-prepare-stages,hr-form-stages{target=%t.two.mlir})' | FileCheck %s --check-prefix=TWO
// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-prepare-stages,hr-form-stages{target=%t.four.mlir})' | FileCheck %s --check-prefix=FOUR

// With a third of the bandwidth of the private cache that the panels of %w stream
// from, register tiles are taller: each vector of a panel is used for 13 rows
// instead of 8.

// RUN: sed -e 's/read = 140 GB/read = 45 GB/' -e 's/write = 80 GB/write = 40 GB/' %t.mlir > %t.slow.mlir
// RUN: not cmp -s %t.mlir %t.slow.mlir
// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-prepare-stages,hr-form-stages{target=%t.mlir})' | FileCheck %s --check-prefix=FAST
// RUN: headrace-opt %s --pass-pipeline='builtin.module(hr-prepare-stages,hr-form-stages{target=%t.slow.mlir})' | FileCheck %s --check-prefix=SLOW

// TWO: hr.stage @product_contract_0
// TWO-SAME: tile = [0, 384, 0]
// FOUR: hr.stage @product_contract_0
// FOUR-SAME: tile = [0, 192, 0]
// FAST: hr.stage @product_contract_0
// FAST-SAME: #hr.nest<vector = 1, vectors = 3, row = 0, rows = 8,
// SLOW: hr.stage @product_contract_0
// SLOW-SAME: #hr.nest<vector = 1, vectors = 2, row = 0, rows = 13,
func.func @product(%x: tensor<128x768xf32> {hr.name = "x", hr.dims = [#hr.size<"128">, #hr.size<"768">]},
                   %w: tensor<768x768xf32> {hr.name = "w", hr.dims = [#hr.size<"768">, #hr.size<"768">]})
    -> (tensor<128x768xf32> {hr.name = "y", hr.dims = [#hr.size<"128">, #hr.size<"768">]}) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<128x768xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<128x768xf32>) -> tensor<128x768xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<128x768xf32>, tensor<768x768xf32>) outs(%f : tensor<128x768xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.mulf %p, %q : f32
    %s = arith.addf %o, %r : f32
    linalg.yield %s : f32
  } -> tensor<128x768xf32>
  return %m : tensor<128x768xf32>
}
