#rows = affine_map<(m, n, k) -> (m, k)>
#weights = affine_map<(m, n, k) -> (n, k)>
#sums = affine_map<(m, n, k) -> (m, n)>
module attributes {hr.weights_file = "in.safetensors"} {
  hr.weight @w : tensor<96x64xf32>
  func.func @main(%x: tensor<32x64xf32> {hr.name = "x", hr.dims = [#hr.size<"32">, #hr.size<"64">]})
      -> (tensor<32x96xf32> {hr.name = "y", hr.dims = [#hr.size<"32">, #hr.size<"96">]})
      attributes {hr.symbols = []} {
    %zero = arith.constant 0.0 : f32
    %w = hr.constant [@w] : tensor<96x64xf32>
    %empty = tensor.empty() : tensor<32x96xf32>
    %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<32x96xf32>) -> tensor<32x96xf32>
    %y = linalg.generic {indexing_maps = [#rows, #weights, #sums],
        iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%x, %w : tensor<32x64xf32>, tensor<96x64xf32>) outs(%start : tensor<32x96xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %p = arith.mulf %a, %b : f32
      %s = arith.addf %c, %p : f32
      linalg.yield %s : f32
    } -> tensor<32x96xf32>
    return %y : tensor<32x96xf32>
  }
}
