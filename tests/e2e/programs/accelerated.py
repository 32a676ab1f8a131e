"""An Accelerate script as its users write them; it knows nothing of Loadstar."""

import json

import torch
from accelerate import Accelerator, InitProcessGroupKwargs

group = InitProcessGroupKwargs(backend="nccl" if torch.cuda.is_available() else "gloo")
accelerator = Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[group])
torch.manual_seed(0)
points = torch.randn(1024, 2)
inside = (points.norm(dim=1) < 1).long()
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(points, inside), batch_size=64, shuffle=True
)
model = torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.Tanh(), torch.nn.Linear(32, 2))
optimizer = torch.optim.Adam(model.parameters(), 0.01)
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
for _ in range(30):
    for batch, target in loader:
        optimizer.zero_grad()
        accelerator.backward(torch.nn.functional.cross_entropy(model(batch), target))
        optimizer.step()
right = torch.zeros(2)
with torch.no_grad():
    for batch, target in loader:
        guessed, wanted = accelerator.gather_for_metrics((model(batch).argmax(1), target))
        right += torch.tensor([(guessed == wanted).sum(), len(wanted)])
if accelerator.is_main_process:
    print(json.dumps({"accuracy": float(right[0] / right[1]), "processes": accelerator.num_processes}))
accelerator.end_training()
