// RUN: hrcc %s --target=generic-x86-64-v4 -S -o - | FileCheck %s
// RUN: hrcc %s --target=amd-zen5 -S -o - | FileCheck %s

// The last vector of a row has one element of two bytes, stored as such: a wider
// store would reach the next row, or past the end.

// CHECK-LABEL: stage.main_map_0:
// CHECK: vpmovdw %zmm{{[0-9]+}}, {{.*}}(%r
// CHECK-NOT: movl %e{{.+}}, {{.*}}(%r
// CHECK-NOT: vmov{{ss|d}} %xmm{{[0-9]+}}, {{.*}}(%r
// CHECK: {{vpextrw|movw}}
// CHECK: retq
#map = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
func.func @main(%x: tensor<3x2x129xbf16> {hr.dims = [#hr.size<"3">, #hr.size<"2">, #hr.size<"129">], hr.name = "x"})
    -> (tensor<3x2x129xbf16> {hr.dims = [#hr.size<"3">, #hr.size<"2">, #hr.size<"129">], hr.name = "y"})
    attributes {hr.in_leaves = [0], hr.out_leaves = [0], hr.symbols = []} {
  %e = tensor.empty() : tensor<3x2x129xbf16>
  %s = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x : tensor<3x2x129xbf16>) outs(%e : tensor<3x2x129xbf16>) {
  ^bb0(%in: bf16, %out: bf16):
    %zero = arith.constant 0.000000e+00 : f32
    %one = arith.constant 1.000000e+00 : f32
    %wide = arith.extf %in : bf16 to f32
    %greater = arith.cmpf ogt, %wide, %zero : f32
    %r = arith.select %greater, %one, %zero : f32
    %narrow = arith.truncf %r : f32 to bf16
    linalg.yield %narrow : bf16
  } -> tensor<3x2x129xbf16>
  return %s : tensor<3x2x129xbf16>
}
